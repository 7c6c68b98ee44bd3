"""Cells of a tier that are kept between charts, until points of their run come.

Of one run, metric and attempt they are one block, a row of 64 bits for each column, so that a chart
of many lines is put together by few calls. What was kept of more steps serves less of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepline_ingest.lineage import STEP_END, STEP_MIN
from stepline_ingest.store.contract import Memo
from stepline_ingest.store.memo import Version

from .blocks import Array
from .cells import Cells, group_starts
from .chart_sql import Numbered, Wanted
from .plan import Read

_MEMO = "cells"
_TYPES = {
    "cell": np.int64,
    "rank": np.uint64,
    "points": np.uint64,
    "nonfinite": np.uint64,
    "low": np.int64,
    "low_step": np.int64,
    "high": np.int64,
    "high_step": np.int64,
    "first": np.float64,
    "last": np.float64,
    "total": np.float64,
    "moment": np.int64,
}
"""Every column that cells may have, in the order of the rows of a block."""
_OVERHEAD = 1_000
"""Bytes of a block beside its cells, about."""

Key = tuple[int, int, int]
"""Number of the read, run, metric."""


@dataclass(frozen=True, slots=True)
class _Block:
    names: tuple[str, ...]
    begin: int
    end: int
    """It has the cells of all points with begin <= step < end."""
    values: Array
    """uint64, shape (names, cells), ordered by rank and cell."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What has to be read: of each of ENTRIES, every run and each of METRICS."""

    metrics: Sequence[int]
    entries: Sequence[Numbered]


class Kept:
    """The cells of ENTRIES, which are all of one tier, for a chart."""

    def __init__(self, memo: Memo, wanted: Wanted, entries: Sequence[Numbered]) -> None:
        self._memo = memo
        self._wanted = wanted
        self._entries = entries
        self._names = _names(wanted.results)
        self._blocks: dict[Key, _Block] = {}
        self._versions: dict[int, Version | None] = {
            run: memo.version([run]) for _, read in entries for run in read.runs
        }
        for number, read in entries:
            for run in read.runs:
                for metric in wanted.metrics:
                    block: _Block | None = memo.get(
                        self._key(run, metric, read), self._versions[run]
                    )
                    if block is not None and self._serves(block, read):
                        self._blocks[number, run, metric] = block

    def missing(self) -> Missing | None:
        """None when nothing is."""
        keys = [key for key in self._keys() if key not in self._blocks]
        if not keys:
            return None
        wanting = {(number, run) for number, run, _ in keys}
        entries = [
            (number, replace(read, runs=runs))
            for number, read in self._entries
            if (runs := tuple(run for run in read.runs if (number, run) in wanting))
        ]
        return Missing(list(dict.fromkeys(metric for _, _, metric in keys)), entries)

    def add(self, missing: Missing, cells: Cells | None) -> None:
        """CELLS are all of MISSING, ordered by read, run, metric, rank and cell."""
        found: dict[Key, Array] = {}
        if cells is not None:
            values = np.stack(
                [cells[name].astype(_TYPES[name]).view(np.uint64) for name in self._names]
            )
            places = [cells[name] for name in ("read", "run", "metric")]
            starts = group_starts(places)
            heads = zip(*(place[starts].tolist() for place in places), strict=True)
            ends = [*starts[1:].tolist(), values.shape[1]]
            for key, begin, end in zip(heads, starts.tolist(), ends, strict=True):
                found[key] = values[:, begin:end].copy()
        none = np.empty((len(self._names), 0), np.uint64)
        for number, read in missing.entries:
            begin, end = read.piece.from_step, read.piece.to_step
            if self._wanted.holds_all(read.piece):
                begin, end = STEP_MIN, STEP_END
            for run in read.runs:
                for metric in missing.metrics:
                    key = (number, run, metric)
                    block = _Block(self._names, begin, end, found.get(key, none))
                    self._blocks[key] = block
                    self._memo.keep(
                        self._key(run, metric, read),
                        self._versions[run],
                        block,
                        size=block.values.nbytes + _OVERHEAD,
                    )

    def in_buckets(self) -> Cells | None:
        """All of them, a row for each cell; None when there is none."""
        pieces: list[Array] = []
        heads: list[Key] = []
        tier = self._wanted.grid.tier
        pieces_of = {number: read.piece for number, read in self._entries}
        for key in sorted(self._keys(), key=lambda key: (key[1], key[2], key[0])):
            block, piece = self._blocks[key], pieces_of[key[0]]
            values = block.values
            if block.names != self._names:
                values = values[[block.names.index(name) for name in self._names]]
            if not self._wanted.holds_all(piece):
                cell = values[0].view(np.int64)
                inside = (cell >= piece.from_step // tier) & (cell < piece.to_step // tier)
                values = values[:, inside]
            if values.shape[1]:
                pieces.append(values)
                heads.append(key)
        if not pieces:
            return None
        values = np.concatenate(pieces, axis=1)
        sizes = [piece.shape[1] for piece in pieces]
        cells: dict[str, Array] = {
            name: row.view(_TYPES[name]) for name, row in zip(self._names, values, strict=True)
        }
        for place, (name, dtype) in enumerate(
            (("read", np.int64), ("run", np.uint64), ("metric", np.uint64))
        ):
            cells[name] = np.repeat(np.array([head[place] for head in heads], dtype), sizes)
        cells["rank"] = cells["rank"].astype(np.uint32)
        return self._within_grid(cells)

    def _within_grid(self, cells: dict[str, Array]) -> Cells | None:
        grid = self._wanted.grid
        cell = cells.pop("cell")
        first = grid.origin // grid.tier
        bucket = (cell - np.int64(first)) // np.int64(grid.width // grid.tier)
        cells["bucket"] = bucket
        inside = (bucket >= 0) & (bucket < grid.count)
        if inside.all():
            return cells
        return {name: column[inside] for name, column in cells.items()} if inside.any() else None

    def _keys(self) -> Iterable[Key]:
        for number, read in self._entries:
            for run in read.runs:
                for metric in self._wanted.metrics:
                    yield number, run, metric

    def _key(self, run: int, metric: int, read: Read) -> tuple[object, ...]:
        ranks = self._wanted.ranks
        lines = (self._wanted.by_rank, None if ranks is None else tuple(ranks))
        return (_MEMO, run, metric, lines, read.piece.attempt, read.piece.tier)

    def _serves(self, block: _Block, read: Read) -> bool:
        piece = read.piece
        inside = block.begin <= max(piece.from_step, STEP_MIN) and piece.to_step <= block.end
        return inside and set(self._names) <= set(block.names)


def _names(results: Iterable[str]) -> tuple[str, ...]:
    wanted = {"cell", "rank", *results}
    wanted |= {f"{name}_step" for name in ("low", "high") if name in wanted}
    return tuple(name for name in _TYPES if name in wanted)
