"""The cells of a tier, as what a chart keeps of its series.

Cells do not depend on the buckets of a request: what was read for one serves the next one, with
other buckets or over a part of its steps, until points of the run come (`kept_cells.py`).

Where one rank is read, cells are taken as they lie, a row for each part that has points of a cell,
and put together here: that costs half of what grouping them in the engine does. Then one thing is
not known: which of two parts has the first and the last point of a cell. Mostly the steps of a
series in two parts do not overlap, and the rollup of series tells it; where they do, and for
several ranks where some parts have no rollups yet, the engine is asked for the whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from stepline_ingest.store.contract import Store

from .blocks import Array
from .buckets import unpacked
from .cells import Cells, group_starts, in_order, merged
from .chart_sql import Numbered, Some, Statement, Wanted, ranges_statement, tier_statement
from .kept_cells import Kept
from .parallel import at_once
from .tier_table import rollups, series_table, tier_table

Run = Callable[[Statement], Mapping[str, Array]]
"""Runs a statement."""

_CORES = os.cpu_count() or 1
_MANY_CELLS = 30_000
"""From so many cells on they are read on all cores."""
_MANY_POINTS = 500_000
"""The same for points of parts that have no rollups."""
_TRIES = 3
_SHARED = 50_000
"""Rows of cells with points in several parts that are put in order here."""
_PLACE = ("read", "run", "metric", "rank", "cell")


class _Unknown(Exception):
    """Which part has the first point of a cell."""


@dataclass(frozen=True, slots=True)
class TierCells:
    """Reads those of ENTRIES, which are all of one tier, for WANTED."""

    store: Store
    run: Run
    wanted: Wanted
    single: bool
    """The points of a line in one statement have one rank."""
    cells: int
    """About how many there are."""

    def read(self, entries: Sequence[Numbered]) -> Cells | None:
        """In the buckets of the grid, in the order of KEYS if every line is part of one read; None
        when there is none. Raises StoreError."""
        kept = Kept(self.store.memo, self.wanted, entries)
        if missing := kept.missing():
            wanted = replace(self.wanted, metrics=missing.metrics)
            kept.add(missing, self._fresh(wanted, missing.entries))
        return kept.in_buckets()

    def _fresh(self, wanted: Wanted, entries: Sequence[Numbered]) -> Cells | None:
        runs = sorted({run for _, read in entries for run in read.runs})
        known = rollups(self.store)
        try:
            if known.complete(self.store, runs):
                return self._together(wanted, entries, self._tables(wanted, entries, None), None)
            for _ in range(_TRIES):
                parts = known.recent(self.store)
                if not parts.built:
                    break
                # Of the others all are read that there are by then, whatever has become of them.
                built = Some(sorted(parts.built))
                rest = Some(built.names, others=True)
                threads = _CORES if parts.bare_points > _MANY_POINTS else 1
                bare = tier_statement(wanted, entries, None, threads, loose=False, some=rest)
                tables = self._tables(wanted, entries, built)
                found = self._together(wanted, entries, [*tables, bare], built)
                # A part that was merged away may have been seen by one statement only.
                if parts.built <= known.look(self.store).names:
                    return found
        except _Unknown:
            pass
        threads = _CORES if self.cells > _MANY_CELLS else 1
        whole = [tier_statement(wanted, entries, None, threads, loose=False)]
        return self._together(wanted, entries, whole, None)

    def _tables(
        self, wanted: Wanted, entries: Sequence[Numbered], some: Some | None
    ) -> list[Statement]:
        """Of the parts that have rollups. For many lines the engine is fastest in statements of one
        thread each, for many cells of one line in threads."""
        table = tier_table(self.store, wanted.grid.tier)
        ways = _CORES if self.cells > _MANY_CELLS else 1
        count = min(ways, len(wanted.metrics))
        return [
            tier_statement(
                replace(wanted, metrics=wanted.metrics[number::count]),
                entries,
                table,
                ways // count,
                loose=self.single,
                some=some,
            )
            for number in range(count)
        ]

    def _together(
        self,
        wanted: Wanted,
        entries: Sequence[Numbered],
        statements: Sequence[Statement],
        some: Some | None,
    ) -> Cells | None:
        """One row for each of _PLACE, in their order."""
        results = at_once([partial(self._rows, statement) for statement in statements])
        tables = [rows for rows in results if rows is not None]
        if not tables:
            return None
        cells = tables[0]
        if len(tables) > 1:
            names = {"bare"}.union(*tables)
            cells = {n: np.concatenate([_column(table, n) for table in tables]) for n in names}
        cells = in_order(cells, _PLACE)
        starts = group_starts([cells[key] for key in _PLACE])
        if len(starts) < len(cells["cell"]):
            if {"first", "last"} & cells.keys():
                cells = self._by_steps(wanted, entries, cells, starts, some)
            cells = merged(cells, starts, _PLACE)
        return cells

    def _rows(self, statement: Statement) -> Cells | None:
        result = self.run(statement)
        return unpacked(result, statement.constants) if result else None

    def _by_steps(
        self,
        wanted: Wanted,
        entries: Sequence[Numbered],
        cells: Cells,
        starts: Array,
        some: Some | None,
    ) -> Cells:
        """Rows of one cell in the order of their steps."""
        sizes = np.diff(np.append(starts, len(cells["cell"])))
        group = np.repeat(np.arange(len(starts)), sizes)
        rows = np.flatnonzero(np.repeat(sizes > 1, sizes))
        if len(rows) > _SHARED:
            raise _Unknown
        begin, end = self._steps(wanted, entries, {n: c[rows] for n, c in cells.items()}, some)
        order = np.lexsort((begin, group[rows]))
        begin, end, groups = begin[order], end[order], group[rows][order]
        if ((groups[1:] == groups[:-1]) & (begin[1:] <= end[:-1])).any():
            raise _Unknown
        places = np.arange(len(group))
        places[rows] = rows[order]
        return {name: column[places] for name, column in cells.items()}

    def _steps(
        self, wanted: Wanted, entries: Sequence[Numbered], cells: Cells, some: Some | None
    ) -> tuple[Array, Array]:
        """The first and the last step that each of CELLS may have points at."""
        statement = ranges_statement(wanted, entries, series_table(self.store), some)
        result = self.run(statement)
        known: dict[tuple[int | None, ...], tuple[int, int]] = {}
        attempts = {number: read.piece.attempt for number, read in entries}
        every = None in attempts.values()
        if result:
            names = ("run", "metric", "rank", "attempt", "part", "begin", "end")
            for run, metric, rank, attempt, part, lo, hi in zip(
                *(result[name].tolist() for name in names), strict=True
            ):
                place, of = rank if wanted.by_rank else 0, part if self.single else 0
                for number in (attempt, None) if every else (attempt,):
                    key = (run, metric, place, number, of)
                    low, high = known.get(key, (lo, hi))
                    known[key] = min(lo, low), max(hi, high)
        asked = ("run", "metric", "rank", "read", "part", "bare", "begin", "end", "cell")
        columns = [_column(cells, name).tolist() for name in asked]
        tier = wanted.grid.tier
        begins, ends = [], []
        for run, metric, rank, number, part, bare, lo, hi, cell in zip(*columns, strict=True):
            if not bare:
                key = (run, metric, rank, attempts[number], part)
                if key not in known:
                    raise _Unknown
                low, high = known[key]
                lo, hi = max(low, cell * tier), min(high, cell * tier + tier - 1)
            begins.append(lo)
            ends.append(hi)
        return np.array(begins, np.int64), np.array(ends, np.int64)


def _column(cells: Cells, name: str) -> Array:
    """Of what only some statements say."""
    if name in cells:
        return cells[name]
    if name == "bare":
        return np.full(len(cells["cell"]), "begin" in cells)
    return np.zeros(len(cells["cell"]), np.uint64 if name == "part" else np.int64)
