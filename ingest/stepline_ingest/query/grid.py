"""The buckets of a chart.

The grid depends on the range of steps, the pixel budget and the widths of the tiers, never on what
the data is read from: raw points and tiers fill the same buckets. Its width is a multiple of the
coarsest tier for which that costs at most a fourth of the budget, so that every cell of the tier
lies in exactly one bucket.

All arithmetic is on Python integers: ranges reach from -2^63 to 2^63.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepline_ingest.lineage import STEP_MIN

_STRETCH = (4, 3)
"""A tier fits when whole cells make a bucket at most 4/3 as wide as the ideal one."""


@dataclass(frozen=True, slots=True)
class Grid:
    """COUNT buckets of WIDTH steps; the first begins at ORIGIN (which may lie below the least
    int64).
    """

    origin: int
    width: int
    count: int
    tier: int
    """Width of the tier whose cells fill the buckets; 0 when no tier is fine enough."""

    @property
    def first_x(self) -> int:
        """The x of the first bucket: its first step, or the least step there is."""
        return max(self.origin, STEP_MIN)

    @property
    def end(self) -> int:
        """One past the last step of the last bucket."""
        return self.origin + self.width * self.count

    @property
    def wide(self) -> bool:
        """True when offsets from one width below the origin do not fit into 63 bits."""
        below = self.origin - self.width
        return below < STEP_MIN or self.end - below >= 2**63


def grid(lo: int, hi: int, points: int, tiers: Sequence[int]) -> Grid:
    """At most POINTS aligned buckets over lo <= step < hi, which must not be empty."""
    if lo >= hi or points < 1:
        raise ValueError("a grid needs lo < hi and points >= 1")
    ideal = _ceil_div(hi - lo, points)
    tier = max((t for t in tiers if _fits(t, ideal)), default=0)
    unit = tier or 1
    if points == 1:
        return single(lo, hi, tiers)
    width = _round_up(ideal, unit)
    if _buckets(lo, hi, width) > points:
        # n buckets cover n - 1 whole widths at any alignment.
        width = _round_up(_ceil_div(hi - lo, points - 1), unit)
    return Grid(lo // width * width, width, _buckets(lo, hi, width), tier)


def single(lo: int, hi: int, tiers: Sequence[int]) -> Grid:
    """One bucket over lo <= step < hi. It begins at its range: alignment cannot put both sides of
    step 0 into one.
    """
    tier = max((t for t in tiers if _fits(t, hi - lo)), default=0)
    unit = tier or 1
    origin = lo // unit * unit
    return Grid(origin, _round_up(hi - origin, unit), 1, tier)


def width_for(steps: int, points: int, tiers: Sequence[int]) -> tuple[int, int]:
    """The width of aligned buckets of which at most POINTS, 2 or more, cover any STEPS steps,
    wherever they lie; and the tier that fills them.
    """
    ideal = _ceil_div(steps, points - 1)
    tier = max((t for t in tiers if _fits(t, ideal)), default=0)
    return _round_up(ideal, tier or 1), tier


def grid_of_width(lo: int, hi: int, width: int, tier: int) -> Grid:
    """The buckets of WIDTH steps that cover lo <= step < hi."""
    return Grid(lo // width * width, width, _buckets(lo, hi, width), tier)


def joined(a: Grid, b: Grid) -> Grid:
    """The buckets of both; their widths are equal and their origins whole widths apart."""
    origin = min(a.origin, b.origin)
    return Grid(origin, a.width, (max(a.end, b.end) - origin) // a.width, a.tier)


def _fits(tier: int, ideal: int) -> bool:
    most, least = _STRETCH
    return _round_up(ideal, tier) * least <= ideal * most


def _buckets(lo: int, hi: int, width: int) -> int:
    return (hi - 1) // width - lo // width + 1


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _round_up(a: int, unit: int) -> int:
    return _ceil_div(a, unit) * unit
