"""Rollups read from their projections as from tables, and which parts have them.

Planned as a query of the points that a projection may answer, the same read costs twice as much:
the engine matches every expression against every projection. Read as a table, a projection has
nothing of the parts that lack it. So either it is known that nothing of the runs in question lies
in such a part (`Rollups.complete`), or the two halves of the parts are read apart, by name, and
their names are looked at once more afterwards (tier_cells.py). Points that come later are not
acknowledged yet when the request is made.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Memo, Store
from stepline_ingest.store.memo import Version

_PARTS = (
    "SELECT name, rows, hasAll(projections, {names:Array(String)}) FROM system.parts "
    "WHERE database = currentDatabase() AND table = {table:String} AND active"
)
_RECENT = 1.0
"""Seconds for which a look at the parts is good enough to begin with."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Those that were active at one moment."""

    names: frozenset[str]
    built: frozenset[str]
    """Those that have every rollup."""
    bare_points: int
    """Points in the others."""


class Rollups:
    """What is known of the parts of a store that nobody else writes to."""

    def __init__(self) -> None:
        self._complete: Version | None = None
        self._looked: tuple[float, Parts] | None = None

    def complete(self, store: Store, runs: Collection[int]) -> bool:
        """Whether nothing of RUNS lies in a part that lacks rollups. Merges and upkeep build
        rollups, and nothing takes them away again; so it stays true until points of RUNS come."""
        version = store.memo.version(runs)
        known = self._complete
        return version is not None and known is not None and version.number <= known.number

    def look(self, store: Store) -> Parts:
        """Raises StoreError."""
        version = store.memo.version()
        params = {"table": tiers.TABLE, "names": list(tiers.projections())}
        rows = store.query(_PARTS, params)
        built = frozenset(str(name) for name, _, has_all in rows if has_all)
        bare = sum(int(str(points)) for _, points, has_all in rows if not has_all)
        parts = Parts(frozenset(str(name) for name, _, _ in rows), built, bare)
        if version is not None and len(built) == len(rows):
            self._complete = version
        self._looked = time.monotonic(), parts
        return parts

    def recent(self, store: Store) -> Parts:
        """Of a moment that is not long ago. Raises StoreError."""
        if self._looked is not None and time.monotonic() - self._looked[0] < _RECENT:
            return self._looked[1]
        return self.look(store)


_ROLLUPS: WeakKeyDictionary[Memo, Rollups] = WeakKeyDictionary()


def rollups(store: Store) -> Rollups:
    """Those of STORE."""
    return _ROLLUPS.setdefault(store.memo, Rollups())


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
