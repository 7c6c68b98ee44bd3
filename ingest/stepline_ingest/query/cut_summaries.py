"""Statistics of an attempt that is shown from one step to another only: where another attempt took
over, and below what a fork shows.

Its series are read at once from their rollup, and those that lie inside are done. Of the others few
points are read as they are. Many are read from cells that lie inside, coarse ones in the middle and
finer ones towards the cuts, with points at both ends: what is read does not grow with the points.
Cells do not say their first and last step, so a series that begins or ends in one is looked up in
the points of that cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store

from .blocks import rows
from .parallel import at_once
from .plan import Extent
from .select import plain, select
from .summary_rows import CELL_COLUMNS, Key, Row, followed, read_rows

KEYS = ("metric", "rank")
FEW_POINTS = 500_000
"""Up to so many are read as they are."""
_FEW = 1_000
"""Up to so many metrics are named."""
_RANGES = 50
"""Looked up by one statement."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Steps begin <= step < end, in whole cells when WIDTH is not 0."""

    width: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What lies from FIRST to LAST, both included, of the points of one attempt that meet WHERE."""

    store: Store
    where: Sequence[str]
    params: Mapping[str, Param]
    first: int
    last: int
    limits: Mapping[str, Setting]

    def read(self) -> dict[Key, Row]:
        """By metric and rank. Raises StoreError."""
        settings = {**self.limits, "preferred_optimize_projection_name": tiers.SERIES}
        every = read_rows(self.store, KEYS, self.where, self.params, settings)
        found: dict[Key, Row] = {}
        cut: dict[Key, Row] = {}
        for metric, rank, *values in every:
            row = Row(*values)
            if self.first <= row.first_step and row.last_step <= self.last:
                found[metric, rank] = row
            elif self.first <= row.last_step and row.first_step <= self.last:
                cut[metric, rank] = row
        return found | self._narrowed(cut)._cut_rows(cut) if cut else found

    def _narrowed(self, cut: Mapping[Key, Row]) -> Cut:
        """To the steps, and the metrics if they are few, of CUT."""
        metrics = sorted({metric for metric, _ in cut})
        narrow = replace(
            self,
            first=max(self.first, min(row.first_step for row in cut.values())),
            last=min(self.last, max(row.last_step for row in cut.values())),
        )
        if len(metrics) > _FEW:
            return narrow
        where = [*self.where, "metric IN {cut:Array(UInt64)}"]
        return replace(narrow, where=where, params={**self.params, "cut": metrics})

    def _cut_rows(self, cut: Mapping[Key, Row]) -> dict[Key, Row]:
        """Of the series CUT, with what they are as a whole."""
        points = sum(
            Extent(1, row.points, row.first_step, row.last_step).points_in(
                self.first, self.last + 1
            )
            for row in cut.values()
        )
        pieces = [_Piece(0, self.first, self.last + 1)]
        if points > FEW_POINTS:
            pieces = _pieces(self.first, self.last + 1)
        parts: dict[Key, list[tuple[_Piece, Row]]] = {}
        for piece, result in zip(
            pieces, at_once([partial(self._read, piece) for piece in pieces]), strict=True
        ):
            for key, row in result.items():
                if key in cut:
                    parts.setdefault(key, []).append((piece, row))
        found = {key: reduce(followed, (row for _, row in of)) for key, of in parts.items()}
        heads, tails = self._unclear(parts, cut)
        looked = self._looked([*heads.items(), *tails.items()])
        for key, row in found.items():
            # What is known of the series as a whole holds where it is not cut.
            whole = cut[key]
            low = whole.first_step if whole.first_step >= self.first else row.first_step
            high = whole.last_step if whole.last_step <= self.last else row.last_step
            if key in looked:
                low = looked[key][0] if key in heads else low
                high = looked[key][1] if key in tails else high
            found[key] = row._replace(first_step=low, last_step=high)
        return found

    def _read(self, piece: _Piece) -> dict[Key, Row]:
        """The first and the last step are those of its cells where PIECE has any."""
        width = piece.width or 1
        params = {**self.params, "lo": piece.begin // width, "hi": piece.end // width}
        of = tiers.cell(width) if piece.width else "step"
        where = [*self.where, f"{of} >= {{lo:Int64}}", f"{of} < {{hi:Int64}}"]
        if piece.width:
            # The engine recognizes a rollup only when its cells are asked for.
            names = (*KEYS, "cell")
            cells = select(
                {**plain(*KEYS), "cell": of, **CELL_COLUMNS},
                tiers.TABLE,
                where=where,
                group_by=names,
            )
            settings = {**self.limits, "preferred_optimize_projection_name": tiers.name(width)}
            made = _of_cells(width)
            found = read_rows(
                self.store, KEYS, (), params, settings, made=made, source=f"({cells}) AS c"
            )
        else:
            settings = {**self.limits, "optimize_use_projections": 0}
            found = read_rows(self.store, KEYS, where, params, settings)
        return {(metric, rank): Row(*values) for metric, rank, *values in found}

    def _unclear(
        self, parts: Mapping[Key, Sequence[tuple[_Piece, Row]]], cut: Mapping[Key, Row]
    ) -> tuple[dict[Key, _Piece], dict[Key, _Piece]]:
        """The cells in which the first step of a series has to be looked up, and the last step."""
        heads, tails = {}, {}
        for key, of in parts.items():
            (head, first), (tail, last) = of[0], of[-1]
            if head.width and cut[key].first_step < self.first:
                heads[key] = _Piece(0, first.first_step, first.first_step + head.width)
            if tail.width and cut[key].last_step > self.last:
                tails[key] = _Piece(0, last.last_step + 1 - tail.width, last.last_step + 1)
        return heads, tails

    def _looked(self, wanted: Iterable[tuple[Key, _Piece]]) -> dict[Key, tuple[int, int]]:
        """The least and the greatest step of each series in the cells WANTED of its metric. In no
        cell before its first one it has any, nor behind its last one."""
        metrics: dict[_Piece, set[int]] = {}
        for (metric, _), cell in wanted:
            metrics.setdefault(cell, set()).add(metric)
        cells = list(metrics.items())
        looked: dict[Key, tuple[int, int]] = {}
        for begin in range(0, len(cells), _RANGES):
            for metric, rank, first, last in self._look(cells[begin : begin + _RANGES]):
                low, high = looked.get((metric, rank), (first, last))
                looked[metric, rank] = min(low, first), max(high, last)
        return looked

    def _look(self, cells: Sequence[tuple[_Piece, Iterable[int]]]) -> Iterable[tuple[Any, ...]]:
        conditions, params = [], dict(self.params)
        for number, (cell, metrics) in enumerate(cells):
            conditions.append(
                f"(metric IN {{metrics{number}:Array(UInt64)}} "
                f"AND step >= {{begin{number}:Int64}} AND step < {{end{number}:Int64}})"
            )
            params[f"metrics{number}"] = sorted(metrics)
            params[f"begin{number}"] = cell.begin
            params[f"end{number}"] = cell.end
        names = {**plain(*KEYS), "first": "min(step)", "last": "max(step)"}
        where = [*self.where, f"({' OR '.join(conditions)})"]
        sql = select(names, tiers.TABLE, where=where, group_by=KEYS)
        settings: dict[str, Setting] = {**self.limits, "optimize_use_projections": 0}
        return rows(self.store.stream_native(sql, params, settings))


def _of_cells(width: int) -> dict[str, str]:
    """What the CELL_COLUMNS of several cells come to."""
    finite = "c.points > c.nonfinite"
    return {
        "points": "sum(c.points)",
        "nonfinite": "sum(c.nonfinite)",
        "low": f"minIf(c.low, {finite})",
        "high": f"maxIf(c.high, {finite})",
        "first_value": f"argMinIf(c.first_value, c.cell, {finite})",
        "last_value": f"argMaxIf(c.last_value, c.cell, {finite})",
        "total": f"sumIf(c.total, {finite})",
        "first_step": f"min(c.cell) * {width}",
        "last_step": f"max(c.cell) * {width} + {width - 1}",
    }


def _pieces(begin: int, end: int) -> list[_Piece]:
    """In the order of steps. Both ends are points, so that most series begin and end there."""
    below, above, finer = [], [], 0
    for width in tiers.WIDTHS:
        low, high = (begin // width + 1) * width, (end - 1) // width * width
        if low >= high:
            break
        below.append(_Piece(finer, begin, low))
        above.append(_Piece(finer, high, end))
        begin, end, finer = low, high, width
    return list(itertools.chain(below, [_Piece(finer, begin, end)], reversed(above)))
