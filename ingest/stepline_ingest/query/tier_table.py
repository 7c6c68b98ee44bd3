"""The cells of a tier, read from its projection as from a table.

Planned as a query of the points that a projection may answer, the same read costs twice as much:
the engine matches every expression against every projection. Read as a table, a projection has
nothing of the parts that lack it. So this is done only while no part does, which a store that
nobody else writes to can know; points that come later are not acknowledged yet when the request is
made.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Memo, Store

_LACKING = (
    "SELECT count() FROM system.parts WHERE database = currentDatabase() "
    "AND table = {table:String} AND active AND NOT hasAll(projections, {names:Array(String)})"
)
_COMPLETE = "every part has its rollups"
_LACKED = "parts lacked rollups"
_PAUSE = 1.0
"""Seconds until it is looked again whether merges have built what parts lacked."""


@dataclass(frozen=True, slots=True)
class Projection:
    """How one of tiers.projections() is read."""

    table: str
    keys: tuple[str, ...]
    """Columns: run, metric, rank, attempt and, of a tier, the number of the cell."""
    results: Mapping[str, str]
    """By the expression of tiers.py, the expression that merges its states."""
    loose_results: Mapping[str, str]
    """The same of the state of one row."""


def all_built(store: Store) -> bool | None:
    """Whether every part has its rollups; None when it has to be looked up first."""
    version = store.memo.version()
    if version is None:
        return False
    if store.memo.get(_COMPLETE, version):
        return True
    lacked = store.memo.get(_LACKED, version)
    return False if lacked is not None and time.monotonic() - lacked < _PAUSE else None


def look_up_built(store: Store) -> bool:
    """The same, looked up. Raises StoreError."""
    known = all_built(store)
    if known is not None:
        return known
    version = store.memo.version()
    params = {"table": tiers.TABLE, "names": list(tiers.projections())}
    built = store.query(_LACKING, params) == [(0,)]
    # Merges and upkeep build rollups, nothing takes them away again before the next change.
    store.memo.keep(_COMPLETE if built else _LACKED, version, built or time.monotonic(), size=100)
    return built


_KNOWN: WeakKeyDictionary[Memo, dict[str, Projection]] = WeakKeyDictionary()


def tier_table(store: Store, width: int) -> Projection:
    """Of the tier with cells of WIDTH steps. Raises StoreError."""
    return _projection(store, tiers.name(width), 5, tiers.CELL_AGGREGATES)


def series_table(store: Store) -> Projection:
    """One row for each series and part. Raises StoreError."""
    return _projection(store, tiers.SERIES, 4, tiers.SERIES_AGGREGATES)


def _projection(store: Store, name: str, keys: int, aggregates: Sequence[str]) -> Projection:
    known = _KNOWN.setdefault(store.memo, {})
    if name not in known:
        table = f"mergeTreeProjection(currentDatabase(), {tiers.TABLE}, {name})"
        # The engine names columns by what it makes of the expressions; their order is ours.
        columns = [_quoted(str(row[0])) for row in store.query(f"DESCRIBE TABLE {table}")]
        known[name] = Projection(
            table,
            tuple(columns[:keys]),
            {
                aggregate: f"{aggregate.partition('(')[0]}Merge({column})"
                for aggregate, column in zip(aggregates, columns[keys:], strict=True)
            },
            {
                aggregate: f"finalizeAggregation({column})"
                for aggregate, column in zip(aggregates, columns[keys:], strict=True)
            },
        )
    return known[name]


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
