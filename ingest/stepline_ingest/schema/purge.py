"""Removes the rows of deleted runs.

There is no state but the tables: whatever belongs to a run of `raw_deletions` is to go. So a
process that dies at any point goes on where it was, and rows that were in flight when the run was
deleted follow it. The engine rewrites the parts that hold such rows, with their rollups, and links
the others.
"""

from __future__ import annotations

import logging
import threading

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two looks without a request."""
BETWEEN = 1.0
"""Seconds between two looks while something is being removed."""

TABLES = (
    # What people see goes first.
    "raw_runs",
    "raw_fields",
    "raw_indexed",
    "raw_summaries",
    "raw_summarized",
    "raw_config_changes",
    "raw_metrics",
    "raw_attempts",
    "raw_layers",
    "raw_finishes",
    "raw_writers",
    "raw_rejects",
    "raw_contexts",
    "raw_console",
    "raw_points",
    "raw_cells",
    "raw_marks",
)
_DELETED = "SELECT DISTINCT run FROM raw_deletions"
_LEFT = "SELECT DISTINCT run FROM {table} WHERE run IN (SELECT run FROM raw_deletions)"
_REMOVE = "ALTER TABLE {table} DELETE WHERE run IN ({runs})"
_RUNNING = (
    "SELECT count(), any(latest_fail_reason) FROM system.mutations "
    "WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done"
)


def purge(store: Store) -> bool:
    """Asks the engine to remove what is left of deleted runs. True when nothing is. Raises
    StoreError."""
    if not store.query(_DELETED + " LIMIT 1"):
        return True
    clean = True
    for table in TABLES:
        clean = _purge_table(store, table) and clean
    return clean


def _purge_table(store: Store, table: str) -> bool:
    left = [int(str(run)) for (run,) in store.query(_LEFT.format(table=table))]
    if not left:
        return True
    found = store.query(_RUNNING, {"table": table})
    if not found:
        return False  # the closing store cut it off
    running, failure = found[0]
    if failure:
        log.warning("rows of deleted runs cannot be removed from %s yet: %s", table, failure)
    if running == 0:
        log.info("removing %d deleted runs from %s", len(left), table)
        store.command(_REMOVE.format(table=table, runs=", ".join(map(str, left))))
    return False


class Purger:
    """Looks now and then, and when it is asked to, in a thread, until `stop`."""

    def __init__(self, store: Store, *, interval: float = INTERVAL) -> None:
        self._store = store
        self._interval = interval
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="purge", daemon=True)
        self._thread.start()

    def soon(self) -> None:
        """A run was deleted."""
        self._wake.set()

    def stop(self) -> None:
        """Asks the store nothing more. What the engine has begun it ends by itself."""
        self._stopping = True
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            clean = True
            try:
                clean = purge(self._store)
            except StoreError as error:
                log.warning("rows of deleted runs could not be removed, trying again: %s", error)
            if not self._stopping:
                self._wake.wait(self._interval if clean else BETWEEN)
