"""Reads the lines of a panel: cells and points by statements of their own, at the same time, put
together outside of the engine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import numpy as np

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store, StoreError
from stepline_ingest.store.expired import Fills

from .blocks import Array
from .blocks import columns as whole_columns
from .buckets import bucket_x, cells_of_result, chart_columns, with_constants
from .cells import KEYS, PLACE, Cells, for_lines, group_starts, together, value_of_bits
from .chart_sql import (
    Numbered,
    Statement,
    Sum,
    Wanted,
    cells_statement,
    ends_statement,
    kept_statement,
    loose_statement,
    nonfinite_statement,
    points_statement,
    results_for,
    sums_statement,
)
from .expired_cells import NEVER, sums_of, with_kept
from .failure import TOO_LONG
from .grid import Grid
from .means import exact_mean, shown_means
from .panels import Panel
from .parallel import at_once
from .plan import Read, reads, wants_tier
from .raw_cells import raw_cells
from .request import ARGNONFINITE, COLUMNS, Range
from .tier_cells import TierCells
from .tier_table import rollups, tier_table
from .views import Views

LineKey = tuple[int, int, int | None]
"""View, metric, rank; no rank for a band."""

_TIME = "max_execution_time"
_CORES = os.cpu_count() or 1
_SUMS = 50
"""Buckets that one statement adds up exactly."""
_RANK_SUMS = ("points", "nonfinite", "total")
MOST_POINTS = 300_000
"""Up to so many points are brought here and put into buckets; more are left to the engine."""


@dataclass(frozen=True, slots=True)
class Line:
    """Its columns have one entry a bucket."""

    grid: Grid
    tier: int
    columns: Mapping[str, Array]
    quantiles: Sequence[Array] = ()
    deviation: float | None = None
    """Of a straggler."""
    even: bool = True
    """Its buckets are those of the grid; else they are as wide as the column "widths" says."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads panels of the same views."""

    store: Store
    views: Views
    limits: Mapping[str, Setting]
    known: Fills
    """Under which it was found which series have expired points."""
    began: float = field(default_factory=time.monotonic)

    def lines(
        self,
        panel: Panel,
        steps: Range,
        *,
        by_rank: bool = False,
        ranks: Sequence[int] | None = None,
        columns: Collection[str] = COLUMNS,
        moments: bool = False,
    ) -> dict[LineKey, Line]:
        """COLUMNS of the lines of each rank or over ranks, of all of them or of RANKS; with MOMENTS
        also "moment", when the first point of a bucket was logged. Raises StoreError.
        """
        plan = self._plan(panel, steps)
        if not plan:
            return {}
        grid = panel.grid
        results = results_for(columns, moments=moments)
        wanted = Wanted(grid, panel.metrics, by_rank, ranks, _whole(panel), results)

        def read(fills: Fills) -> Cells | None:
            cells = self._cells(wanted, plan, panel, fills)
            if cells is not None and "mean" in columns:
                cells = {**cells, "mean": self._means(wanted, plan, cells)}
            if cells is not None and ARGNONFINITE in columns:
                cells = {**cells, ARGNONFINITE: self._argnonfinite(wanted, plan, cells)}
            return cells

        cells = self.store.expired.settled(read)
        if cells is None:
            return {}
        values = chart_columns(grid, cells)
        used = max(one.piece.tier for one in plan)
        kept = cells.get("kept")
        found: dict[LineKey, Line] = {}
        starts = group_starts([cells[key] for key in KEYS[:3]]).tolist()
        for begin, end in zip(starts, [*starts[1:], len(values["x"])], strict=True):
            view, metric, place = (int(cells[key][begin]) for key in KEYS[:3])
            cut = {name: column[begin:end] for name, column in values.items()}
            expired = kept is not None and kept[begin:end].any()
            width = max(used, tiers.WIDTHS[0]) if expired else used
            found[view, metric, place if by_rank else None] = Line(grid, width, cut)
        return found

    def sums_by_rank(self, panel: Panel, steps: Range) -> Cells | None:
        """Points, nonfinite and total of the ranks in the buckets, in any order, in several rows
        of a rank and bucket. Raises StoreError.
        """
        plan = self._plan(panel, steps)
        results = results_for((), moments=False) | {"total"}
        wanted = Wanted(panel.grid, panel.metrics, True, None, _whole(panel), results)
        return self.store.expired.settled(
            lambda fills: self._sums_by_rank(wanted, plan, panel, fills)
        )

    def _sums_by_rank(
        self, wanted: Wanted, plan: Sequence[Read], panel: Panel, fills: Fills
    ) -> Cells | None:
        tables = []
        for of_cells in (True, False):
            entries = [e for e in enumerate(plan) if bool(e[1].piece.tier) is of_cells]
            if entries:
                statement = cells_statement(wanted, entries)
                if of_cells and rollups(self.store).complete(self.store, _runs(plan)):
                    table = tier_table(self.store, panel.grid.tier)
                    statement = loose_statement(wanted, entries, table)
                tables.append(self._grouped(wanted, statement))
        found = [for_lines(cells, plan) for cells in tables if cells is not None]
        for call in self._from_kept(wanted, list(enumerate(plan)), panel, fills):
            old = call()
            if old is not None:
                found.append(sums_of(for_lines(old, plan), (*PLACE, "bucket", *_RANK_SUMS)))
        if len(found) < 2:
            return found[0] if found else None
        return {name: np.concatenate([cells[name] for cells in found]) for name in found[0]}

    def _plan(self, panel: Panel, steps: Range) -> list[Read]:
        # A bound of the request that cuts nothing off costs no edge.
        lo = None if steps.start is None or steps.start <= panel.first else steps.start
        hi = None if steps.stop is None or steps.stop >= panel.end else steps.stop
        lineages = {key: self.views.lineages(panel.uncut)[key] for key in panel.views}
        tier = wants_tier(panel.grid, panel.extents)
        return reads(lineages, panel.grid, lo, hi, tier=tier)

    def _cells(
        self, wanted: Wanted, plan: Sequence[Read], panel: Panel, fills: Fills
    ) -> Cells | None:
        """One row for each line and bucket, in the order of both; None when there is none."""
        numbered = list(enumerate(plan))
        of_cells = [entry for entry in numbered if entry[1].piece.tier]
        of_points = [entry for entry in numbered if not entry[1].piece.tier]
        calls: list[Callable[[], Cells | None]] = []
        if of_cells:
            calls.append(self._from_tier(wanted, of_cells, panel))
        if of_points:
            few = sum(one.points_in(wanted.grid.origin, wanted.grid.end) for one in panel.extents)
            one_rank = wanted.by_rank or _one_rank(wanted, panel)
            # Cut off around cells are a few points; without cells these are all.
            if one_rank and (of_cells or few <= MOST_POINTS):
                calls.append(lambda: self._from_points(wanted, of_points))
            else:
                statement = cells_statement(wanted, of_points, _CORES)
                calls.append(partial(self._grouped, wanted, statement))
        of_kept = self._from_kept(wanted, numbered, panel, fills)
        found = at_once([*calls, *of_kept])
        stored, kept = found[: len(calls)], found[len(calls) :]
        tables = [for_lines(cells, plan) for cells in stored if cells is not None]
        fresh = together(tables) if tables else None
        old = [for_lines(cells, plan) for cells in kept if cells is not None]
        if not old:
            return fresh
        return with_kept(fresh, old, wanted.results, partial(self._ends, wanted, plan))

    def _from_kept(
        self, wanted: Wanted, entries: Sequence[Numbered], panel: Panel, fills: Fills
    ) -> list[Callable[[], Cells | None]]:
        """What is kept of expired points, where there are any."""
        if not fills or not (panel.kept or fills.numbers != self.known.numbers):
            return []
        by_width: dict[int, list[Numbered]] = {}
        for entry in entries:
            width = entry[1].piece.tier or tiers.WIDTHS[0]
            by_width.setdefault(width, []).append(entry)
        return [
            partial(self._grouped, wanted, kept_statement(wanted, of_width, width, fills))
            for width, of_width in by_width.items()
        ]

    def _ends(self, wanted: Wanted, plan: Sequence[Read], buckets: Array) -> Cells | None:
        return self._looked_up(wanted, plan, buckets, ends_statement)

    def _from_tier(
        self, wanted: Wanted, entries: Sequence[Numbered], panel: Panel
    ) -> Callable[[], Cells | None]:
        grid = wanted.grid
        if self.store.memo.version() is None:
            # At a server, which does the whole of it in one statement.
            return partial(self._grouped, wanted, cells_statement(wanted, entries, _CORES))
        cells = sum(one.cells_in(grid.origin, grid.end, grid.tier) for one in panel.extents)
        single = wanted.by_rank or _one_rank(wanted, panel)
        tier = TierCells(self.store, self._run, wanted, single, cells)
        return partial(tier.read, entries)

    def _grouped(self, wanted: Wanted, statement: Statement) -> Cells | None:
        result = self._run(statement)
        if not result:
            return None
        cells = cells_of_result(result, statement.constants, wanted.grid)
        return cells if len(cells["bucket"]) else None

    def _from_points(self, wanted: Wanted, entries: Sequence[Numbered]) -> Cells | None:
        statement = points_statement(wanted, entries)
        rows = self._run(statement)
        if not rows:
            return None
        points = {**rows, **with_constants(rows, statement.constants)}
        return raw_cells(wanted.grid, points, wanted.results)

    def _run(self, statement: Statement) -> dict[str, Array]:
        settings = self._settings(statement)
        return whole_columns(self.store.stream_native(statement.sql, statement.params, settings))

    def _settings(self, statement: Statement) -> dict[str, Setting]:
        """With what is left of the time of the request."""
        settings = {**self.limits, **statement.settings}
        seconds = self.limits.get(_TIME)
        if seconds:
            left = int(seconds) - int(time.monotonic() - self.began)
            if left < 1:
                raise StoreError("the time of the request is over", code=TOO_LONG)
            settings[_TIME] = left
        return settings

    def _means(self, wanted: Wanted, plan: Sequence[Read], cells: Cells) -> Array:
        mean, doubtful = shown_means(cells)
        if "kept" in cells:
            # There is nothing to add up exactly: these may be one unit of what is shown off.
            doubtful = doubtful[~cells["kept"][doubtful]]
        # A statement adds each point to one sum: what several lines show is added up for each.
        shared = any(read.lines for read in plan)
        lines = np.unique(cells["run"][doubtful]) if shared else [None]
        for line in lines:
            mine = doubtful if line is None else doubtful[cells["run"][doubtful] == line]
            for begin in range(0, len(mine), _SUMS):
                rows = mine[begin : begin + _SUMS]
                mean[rows] = self._exact_means(wanted, plan, {k: cells[k][rows] for k in cells})
        return mean

    def _exact_means(self, wanted: Wanted, plan: Sequence[Read], cells: Cells) -> list[float]:
        extremes = [
            value_of_bits(cells[name]).view(np.float64).tolist() for name in ("low", "high")
        ]
        bounds = list(zip(*extremes, strict=True))
        sums = []
        for row, (low, high) in enumerate(bounds):
            begin = wanted.grid.origin + int(cells["bucket"][row]) * wanted.grid.width
            line, metric, rank = (int(cells[name][row]) for name in ("run", "metric", "rank"))
            reads = [
                replace(read, piece=piece, runs=read.runs if read.lines else (line,))
                for read in plan
                if line in (read.lines or read.runs)
                and (piece := read.piece.points_between(begin, begin + wanted.grid.width))
            ]
            only = [rank] if wanted.by_rank else wanted.ranks
            sums.append(Sum(reads, metric, only, max(abs(low), abs(high))))
        statement = sums_statement(sums)
        rows = self.store.query(statement.sql, statement.params, self._settings(statement))
        found = {number: int(str(total)) for number, total in rows}
        counts = (cells["points"] - cells["nonfinite"]).tolist()
        return [
            exact_mean(found[row] / Fraction(2) ** one.scale, count, *bound)
            for row, (one, count, bound) in enumerate(zip(sums, counts, bounds, strict=True))
        ]

    def _argnonfinite(self, wanted: Wanted, plan: Sequence[Read], cells: Cells) -> Array:
        """The step of the first nonfinite point of each bucket; x where it has none, or nothing
        else.
        """
        mixed = (cells["nonfinite"] > 0) & (cells["points"] > cells["nonfinite"])
        found = bucket_x(wanted.grid, cells["bucket"])
        if not mixed.any():
            return found
        rows = self._looked_up(wanted, plan, cells["bucket"][mixed], nonfinite_statement)
        steps: dict[tuple[int, ...], int] = {}
        if rows is not None:
            keys = zip(*(rows[key].tolist() for key in KEYS), strict=True)
            for key, step in zip(keys, rows[ARGNONFINITE].tolist(), strict=True):
                steps[key] = min(step, steps.get(key, step))
        for row in np.flatnonzero(mixed).tolist():
            key = tuple(int(cells[name][row]) for name in KEYS)
            among = [steps[key]] if key in steps else []
            if "bad_at" in cells and cells["bad_at"][row] != NEVER:
                among.append(int(cells["bad_at"][row]))
            found[row] = min(among, default=int(found[row]))
        return found

    def _looked_up(
        self,
        wanted: Wanted,
        plan: Sequence[Read],
        buckets: Array,
        statement_of: Callable[[Wanted, Sequence[Numbered]], Statement],
    ) -> Cells | None:
        """What a statement about points finds between the first and the last of BUCKETS."""
        grid = wanted.grid
        lo = grid.origin + int(buckets.min()) * grid.width
        hi = grid.origin + (int(buckets.max()) + 1) * grid.width
        parts = [
            replace(read, piece=piece)
            for read in plan
            if (piece := read.piece.points_between(lo, hi))
        ]
        if not parts:
            return None
        statement = statement_of(wanted, list(enumerate(parts)))
        result = self._run(statement)
        if not result:
            return None
        return for_lines({**result, **with_constants(result, statement.constants)}, parts)


def _one_rank(wanted: Wanted, panel: Panel) -> bool:
    return panel.ranks <= 1 or (wanted.ranks is not None and len(wanted.ranks) == 1)


def _runs(plan: Sequence[Read]) -> set[int]:
    return {run for read in plan for run in read.runs}


def _whole(panel: Panel) -> bool:
    """Whether nothing that is stored of its series lies outside its buckets."""
    return panel.grid.origin <= panel.first and panel.end <= panel.grid.end
