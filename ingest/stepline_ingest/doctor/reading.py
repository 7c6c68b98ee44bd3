"""How the doctor asks the store: from the rows themselves, within bounds of memory, and again when
a merge took a part away in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepline_ingest.store.contract import Param, Setting, Store

RAW = "received >= toDateTime(0)"
"""True for every row. No projection has the column, so a query with this condition reads points."""

_GOING = "(SELECT month FROM raw_expiry FINAL WHERE state = 'filled')"
STANDING = f"{RAW} AND toYYYYMM(received) NOT IN {_GOING}"
"""The same but for rows that are on their way out since their month expired."""

_LIMITS: dict[str, Setting] = {
    "max_memory_usage": 4 << 30,
    # Beyond this a GROUP BY goes through the disk.
    "max_bytes_before_external_group_by": 1 << 30,
    # Rows come in the order of the primary key, so a group is done when its key has passed.
    "optimize_aggregation_in_order": 1,
    "max_execution_time": 3_600,
}


class Reader:
    """Questions at one store. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._run_ids: dict[int, str] = {}
        self.deleted: frozenset[str] = frozenset()
        """Runs whose rows are on their way out."""

    def rows(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> list[tuple[Any, ...]]:
        """A small result, of points instead of rollups unless SETTINGS say otherwise."""
        given = {"optimize_use_projections": 0, **_LIMITS, **(settings or {})}
        return self.store.query(sql, params, given)

    def stream(self, sql: str, params: Mapping[str, Param] | None = None) -> Iterator[Any]:
        """A large result, row after row."""
        given: dict[str, Setting] = {"optimize_use_projections": 0, **_LIMITS}
        for block in self.store.stream_native(sql, params, given):
            yield from block.tuples()

    def load_run_ids(self) -> None:
        """Reads the names of all runs, and which of them were deleted."""
        found = self.rows("SELECT run, any(run_id) FROM raw_runs GROUP BY run")
        gone = self.rows("SELECT run, any(run_id) FROM raw_deletions GROUP BY run")
        self._run_ids = {int(run): str(run_id) for run, run_id in [*gone, *found]}
        self.deleted = frozenset(self.run_id(int(run)) for run, _ in gone)

    def run_id(self, run: int) -> str:
        """The name of a run; its number where it has none."""
        return self._run_ids.get(run, f"#{run}")


def writer_text(writer: int) -> str:
    """A writer as clients write it: 32 hexadecimal digits."""
    return f"{writer:032x}"
