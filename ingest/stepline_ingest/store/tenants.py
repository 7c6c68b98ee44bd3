"""SQL from people who may see one project only.

They ask views of their own, in a database of their own. These views read as a user of the engine
that nobody can log in as, and the engine's row policies let that user see only the rows of the
project that the setting `log_comment` of the session names. A policy is applied before any
condition of the query, so that no condition can tell something about a row of another project, not
even by failing on it. `readonly` keeps the session from changing the setting.
"""

from __future__ import annotations

from .contract import Store
from .params import Setting

TENANT_ROLE = "tenant"
TENANT_USER = "tenants"

_PROJECT = "concat('project=', project) = getSetting('log_comment')"
_RUN = "run IN (SELECT run FROM {database}.raw_runs WHERE " + _PROJECT + ")"  # noqa: S608

ROW_FILTERS = {
    "raw_runs": _PROJECT,
    "raw_attempts": _RUN,
    "raw_layers": _RUN,
    "raw_metrics": _RUN,
    "raw_points": _RUN,
    "raw_cells": _RUN,
    "raw_contexts": _RUN,
    "raw_console": _RUN,
}
"""Table -> which of its rows count."""

VIEWS = (
    "runs",
    "attempts",
    "metrics",
    "points",
    "series",
    "expired",
    "contexts",
    "console",
    "lineage",
    "visible_points",
)
GRANTED = (*ROW_FILTERS, *VIEWS, "raw_shown", "raw_kept", "raw_expiry")
"""What the views of tenants are made of."""


def tenant_database(database: str) -> str:
    """Where the views lie."""
    return f"{database}_tenant"


def tenant_settings(project: str) -> dict[str, Setting]:
    """What makes a session that of PROJECT."""
    return {"log_comment": f"project={project}"}


def create_views(store: Store, database: str) -> None:
    """Makes the views, or makes them anew: they hold nothing."""
    for view in VIEWS:
        made = f"{tenant_database(database)}.{view} DEFINER = {TENANT_USER} SQL SECURITY DEFINER"
        source = f"{database}.{view}"
        store.command(f"CREATE OR REPLACE VIEW {made} AS SELECT * FROM {source}")  # noqa: S608
