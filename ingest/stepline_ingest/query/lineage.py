"""Which attempt of a run is visible at which steps.

The newest attempt wins from its first step on; what it supersedes stays stored below that step.
The first step of an attempt is the least step over all its metrics and ranks, so that every chart
of a run switches attempts at the same place, also a chart of a metric that the newer attempt has
not logged yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STEP_MIN = -(2**63)
STEP_END = 2**63
"""One past the greatest step; ranges of steps are half open and held as Python integers."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps from_step <= step < to_step, read from one attempt."""

    attempt: int
    from_step: int
    to_step: int

    def clip(self, lo: int, hi: int) -> Segment | None:
        """The part inside lo <= step < hi; None when nothing is left."""
        start, stop = max(self.from_step, lo), min(self.to_step, hi)
        return Segment(self.attempt, start, stop) if start < stop else None


Lineage = tuple[Segment, ...]


def lineage(first_steps: Iterable[tuple[int, int]]) -> Lineage:
    """Segments in the order of steps, disjoint, from (attempt, first step) in any order.

    An attempt that a newer one supersedes entirely has no segment.
    """
    segments: list[Segment] = []
    bound = STEP_END
    for attempt, first in sorted(first_steps, reverse=True):
        if first < bound:
            segments.append(Segment(attempt, first, bound))
            bound = first
    segments.reverse()
    return tuple(segments)


def clip(segments: Lineage, lo: int, hi: int) -> Lineage:
    """The parts of SEGMENTS inside lo <= step < hi."""
    return tuple(part for s in segments if (part := s.clip(lo, hi)) is not None)
