"""What the service says about a run and its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .config import RESERVED


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run in a list of runs."""

    id: str
    project: str
    name: str
    """The name, or the id of a run without one."""
    state: str
    """running | finished | failed"""
    config: dict[str, Any]
    summary: dict[str, Any]
    tags: tuple[str, ...]
    group: str
    job_type: str
    notes: str
    attempts: int
    """How often it was started."""
    world_size: int
    created: datetime
    updated: datetime
    exit_code: int | None
    """None while it is running."""

    @classmethod
    def from_reply(cls, run: Mapping[str, Any]) -> RunInfo:
        """Of a Run message as the extension gives it."""
        config = json.loads(run["config_json"] or "{}")
        return cls(
            id=run["run_id"],
            project=run["project"],
            name=run["name"] or run["run_id"],
            state=run["state"],
            config={key: value for key, value in config.items() if key != RESERVED},
            summary=json.loads(run["summary_json"] or "{}"),
            tags=tuple(run["tags"]),
            group=run["group"],
            job_type=run["job_type"],
            notes=run["notes"],
            attempts=run["attempts"],
            world_size=run["world_size"],
            created=_moment(run["created_ms"]),
            updated=_moment(run["updated_ms"]),
            exit_code=run.get("exit_code"),
        )


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of a run over all its ranks."""

    name: str
    count: int
    """Points."""
    ranks: int
    first_step: int
    last_step: int
    last_value: float
    """At `last_step`, of the lowest rank that has one."""
    min: float
    """Over finite values; NaN when there is none."""
    max: float
    nonfinite: int
    """Points that are NaN or infinite."""

    @classmethod
    def from_reply(cls, metric: Mapping[str, Any]) -> Metric:
        """Of a Metric message as the extension gives it."""
        return cls(**{name: metric[name] for name in cls.__dataclass_fields__})


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, tz=timezone.utc)
