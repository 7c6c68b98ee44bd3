"""What a chart reads: of every segment of its lineages raw points, tier cells, or both.

A tier cell may be used only when all of its points are wanted. Below the first step of an attempt
it has no points, so only two places need raw rows: where the request cuts, and where another
attempt takes over.

Lines may show the same points: those of a run and those of its forks. Each point is read once: an
attempt is cut where any line begins or ends to show it, and a stretch between two cuts says whose
lines it is part of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepline_ingest.lineage import Lineage, Segment

from .grid import Grid

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

    attempt: int | None
    """None: of all attempts."""
    from_step: int
    to_step: int
    tier: int

    def points_between(self, lo: int, hi: int) -> Piece | None:
        """The points of it with lo <= step < hi; None when it has none there."""
        begin, end = max(lo, self.from_step), min(hi, self.to_step)
        return Piece(self.attempt, begin, end, 0) if begin < end else None


@dataclass(frozen=True, slots=True)
class Read:
    """One piece of the points of some runs."""

    piece: Piece
    runs: tuple[int, ...]
    lines: tuple[int, ...] = ()
    """The keys of the lines that it is part of; none: of each run the line with its own key."""


def wants_tier(grid: Grid, extents: Iterable[Extent]) -> bool:
    """Whether the tier of GRID is cheaper than raw points for series with these statistics."""
    if not grid.tier:
        return False
    points = cells = 0
    for extent in extents:
        points += extent.points_in(grid.origin, grid.end)
        cells += extent.cells_in(grid.origin, grid.end, grid.tier)
    return points > RAW_POINTS and points >= POINTS_PER_CELL * cells


def reads(
    lineages: Mapping[int, Lineage], grid: Grid, lo: int | None, hi: int | None, *, tier: bool
) -> list[Read]:
    """What is read for lines that show LINEAGES. The reads of one line are disjoint and in the
    order of steps.

    LO and HI are what the request cuts, None where it takes everything; the read then goes to the
    bounds of the grid, so that it ends on a cell.
    """
    start = grid.origin if lo is None else lo
    stop = grid.end if hi is None else hi
    width = grid.tier if tier else 0
    parts: dict[tuple[int, int | None], list[tuple[Segment, int]]] = {}
    for line, lineage in lineages.items():
        for segment in lineage:
            part = segment.clip(start, stop)
            if part is not None:
                parts.setdefault((part.run, part.attempt), []).append((part, line))
    # Runs with equal pieces are read together; most charts have one piece.
    found: dict[tuple[int, Piece, tuple[int, ...]], list[int]] = {}
    for (run, _), shown in parts.items():
        for stretch, lines in _stretches(shown):
            for piece in _split(stretch, width):
                key = (stretch.from_step, piece, () if lines == (run,) else lines)
                found.setdefault(key, []).append(run)
    # A first cell may begin below its stretch: stretches are what has an order.
    ordered = sorted(found.items(), key=lambda item: (item[0][0], item[0][1].from_step))
    return [Read(piece, tuple(runs), lines) for (_, piece, lines), runs in ordered]


def _stretches(shown: Sequence[tuple[Segment, int]]) -> Iterator[tuple[Segment, tuple[int, ...]]]:
    """Parts of one attempt, disjoint, each with the lines that show all of it."""
    if len(shown) == 1:
        yield shown[0][0], (shown[0][1],)
        return
    cuts = sorted({step for part, _ in shown for step in (part.from_step, part.to_step)})
    for begin, end in itertools.pairwise(cuts):
        inside = [(part, line) for part, line in shown if part.from_step <= begin < part.to_step]
        if inside:
            whole = any(part.whole_below and part.from_step == begin for part, _ in inside)
            first = inside[0][0]
            stretch = Segment(first.run, first.attempt, begin, end, whole)
            yield stretch, tuple(line for _, line in inside)


def _split(part: Segment, width: int) -> list[Piece]:
    if not width:
        return [Piece(part.attempt, part.from_step, part.to_step, 0)]
    # Without points below it, the first cell is whole wherever the first step lies in it.
    low = part.from_step // width if part.whole_below else -(-part.from_step // width)
    high = part.to_step // width
    if low >= high:
        return [Piece(part.attempt, part.from_step, part.to_step, 0)]
    cells = Piece(part.attempt, low * width, high * width, width)
    below = Piece(part.attempt, part.from_step, cells.from_step, 0)
    above = Piece(part.attempt, cells.to_step, part.to_step, 0)
    return [p for p in (below, cells, above) if p.from_step < p.to_step]
