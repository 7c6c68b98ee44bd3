"""What a chart reads: for every attempt segment of a run raw points, tier cells, or both.

A tier cell may be used only when all of its points are wanted. Below the first step of an attempt
it has no points, so only two places need raw rows: where the request cuts, and where a newer
attempt takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .grid import Grid
from .lineage import Lineage, Segment

RAW_POINTS = 20_000
"""Up to so many points are read raw: an estimate, not measured by itself."""
POINTS_PER_CELL = 4
"""Reading a tier cell costs as much as reading so many points."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Statistics of what one attempt logged of a metric, over RANKS ranks."""

    ranks: int
    count: int
    first_step: int
    last_step: int

    def points_in(self, lo: int, hi: int) -> int:
        """Points with lo <= step < hi, taken as evenly spread."""
        low, high = max(lo, self.first_step), min(hi, self.last_step + 1)
        if low >= high:
            return 0
        return -(-self.count * (high - low) // (self.last_step + 1 - self.first_step))

    def cells_in(self, lo: int, hi: int, width: int) -> int:
        """The most tier cells between lo and hi that can have points."""
        low, high = max(lo, self.first_step), min(hi, self.last_step + 1)
        if low >= high:
            return 0
        return min(((high - 1) // width - low // width + 1) * self.ranks, self.points_in(lo, hi))


@dataclass(frozen=True, slots=True)
class Piece:
    """Steps from_step <= step < to_step of one attempt, whole tier cells when TIER is not 0."""

    attempt: int
    from_step: int
    to_step: int
    tier: int


def wants_tier(grid: Grid, extents: Iterable[Extent]) -> bool:
    """Whether the tier of GRID is cheaper than raw points for series with these statistics."""
    if not grid.tier:
        return False
    points = cells = 0
    for extent in extents:
        points += extent.points_in(grid.origin, grid.end)
        cells += extent.cells_in(grid.origin, grid.end, grid.tier)
    return points > RAW_POINTS and points >= POINTS_PER_CELL * cells


def pieces(
    lineage: Lineage, grid: Grid, lo: int | None, hi: int | None, *, tier: bool
) -> list[Piece]:
    """The reads for one run, disjoint, in the order of steps.

    LO and HI are what the request cuts, None where it takes everything; the read then goes to the
    bounds of the grid, so that it ends on a cell.
    """
    start = grid.origin if lo is None else lo
    stop = grid.end if hi is None else hi
    width = grid.tier if tier else 0
    reads: list[Piece] = []
    for segment in lineage:
        part = segment.clip(start, stop)
        if part is None:
            continue
        if not width:
            reads.append(Piece(part.attempt, part.from_step, part.to_step, 0))
            continue
        # An attempt has nothing below its first step, so its first cell is whole wherever the step
        # lies in it.
        open_below = part.from_step == segment.from_step
        reads.extend(_split(part, width, open_below=open_below))
    return reads


def _split(part: Segment, width: int, *, open_below: bool) -> list[Piece]:
    low = part.from_step // width if open_below else -(-part.from_step // width)
    high = part.to_step // width
    if low >= high:
        return [Piece(part.attempt, part.from_step, part.to_step, 0)]
    cells = Piece(part.attempt, low * width, high * width, width)
    below = Piece(part.attempt, part.from_step, cells.from_step, 0)
    above = Piece(part.attempt, cells.to_step, part.to_step, 0)
    return [p for p in (below, cells, above) if p.from_step < p.to_step]


Reads = dict[tuple[Piece, ...], list[int]]


def by_reads(plans: Mapping[int, list[Piece]]) -> Reads:
    """Runs grouped by what is read of them; most charts have one group."""
    groups: Reads = {}
    for run, plan in plans.items():
        groups.setdefault(tuple(plan), []).append(run)
    return groups
