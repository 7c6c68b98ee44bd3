"""The definition of a chart, point by point. Slow, and as plain as it can be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from stepline_ingest.query.grid import grid, grid_of_width, width_for
from stepline_ingest.query.means import MIDDLE
from stepline_ingest.schema import tiers
from tests.support.points import Point, bits


@dataclass(frozen=True)
class Bucket:
    x: int
    min: float
    max: float
    mean: float
    first: float
    last: float
    argmin: int
    argmax: int
    count: int
    nonfinite: int
    argnonfinite: int


Shown = tuple[int, int, int, int]
"""Run, attempt, and the steps first <= step < end of it that are shown."""


@dataclass(frozen=True)
class Fork:
    """A run that began as what PARENT showed up to STEP."""

    parent: int
    step: int


def shown(points: Sequence[Point], run: int, forks: Mapping[int, Fork]) -> list[Shown]:
    """What RUN shows: at each step the newest attempt that has begun there, a fork's first one
    right behind its step; below all of them, of a fork, what the other run shows.
    """
    starts: dict[int, int] = {}
    for p in points:
        if p.run == run:
            starts[p.attempt] = min(p.step, starts.get(p.attempt, p.step))
    fork = forks.get(run)
    if fork is not None:
        starts[1] = min(fork.step + 1, starts.get(1, 2**63))
    parts = []
    end = 2**63
    for attempt in sorted(starts, reverse=True):
        if starts[attempt] < end:
            parts.append((run, attempt, starts[attempt], end))
            end = starts[attempt]
    if fork is not None:
        for other, attempt, first, stop in shown(points, fork.parent, forks):
            if first < min(stop, end, fork.step + 1):
                parts.append((other, attempt, first, min(stop, end, fork.step + 1)))
    return parts


def extent(
    points: Sequence[Point], parts: Sequence[Shown], metric: int, rank: int | None
) -> tuple[int, int] | None:
    """The steps that a line spans: of each attempt, from its first point of METRIC to its last, as
    far as PARTS show it.
    """
    spans = []
    for run, attempt, first, end in parts:
        logged = [
            p.step
            for p in points
            if (p.run, p.attempt, p.metric) == (run, attempt, metric) and rank in (None, p.rank)
        ]
        lo, hi = max(first, min(logged, default=end)), min(end, max(logged, default=first) + 1)
        if lo < hi:
            spans.append((lo, hi))
    return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None


def chart(
    points: Sequence[Point],
    runs: Sequence[int],
    run: int,
    metric: int,
    *,
    budget: int,
    start: int | None = None,
    stop: int | None = None,
    rank: int | None = None,
    span_rank: int | None = None,
    common_grid: bool = False,
    forks: Mapping[int, Fork] | None = None,
) -> list[Bucket]:
    """One line: of RANK, or over all of them. The grid spans SPAN_RANK, or all ranks.

    POINTS are all that is stored; RUNS are those of the request.
    """
    parts = {one: shown(points, one, forks or {}) for one in runs}

    def span(of: int) -> tuple[int, int] | None:
        found = extent(points, parts[of], metric, span_rank)
        if found is None:
            return None
        lo = found[0] if start is None else max(found[0], start)
        hi = found[1] if stop is None else min(found[1], stop)
        return (lo, hi) if lo < hi else None

    own = span(run)
    if own is None:
        return []
    spans = [found for one in runs if (found := span(one))]
    lo, hi = min(a for a, _ in spans), max(b for _, b in spans)
    g = grid(lo, hi, budget, tiers.WIDTHS)
    halvings = 0
    while (own[1] - own[0]) * 2 ** (halvings + 1) <= hi - lo:
        halvings += 1
    if halvings and budget > 2 and not common_grid:
        width, tier = width_for(math.ceil(Fraction(hi - lo, 2**halvings)), budget, tiers.WIDTHS)
        g = grid_of_width(*own, width, tier)
        assert g.count <= budget
    wanted = [
        p
        for p in points
        if p.metric == metric and lo <= p.step < hi and rank in (None, p.rank)
        if any((p.run, p.attempt) == (r, a) and f <= p.step < e for r, a, f, e in parts[run])
    ]
    buckets: dict[int, list[Point]] = {}
    for p in wanted:
        buckets.setdefault((p.step - g.origin) // g.width, []).append(p)
    return [
        _bucket(max(g.origin + number * g.width, -(2**63)), buckets[number])
        for number in sorted(buckets)
    ]


def _bucket(x: int, points: Sequence[Point]) -> Bucket:
    finite = [p for p in points if math.isfinite(p.value)]
    counts = {"count": len(points), "nonfinite": len(points) - len(finite)}
    if not finite:
        nan = math.nan
        return Bucket(x, nan, nan, nan, nan, nan, x, x, **counts, argnonfinite=x)
    low = min(finite, key=lambda p: (_ordered(p.value), p.step))
    high = min(finite, key=lambda p: (-_ordered(p.value), p.step))
    by_log = sorted(finite, key=lambda p: (p.step, p.rank, p.seq))
    return Bucket(
        x,
        low.value,
        high.value,
        mean([p.value for p in finite]),
        by_log[0].value,
        by_log[-1].value,
        low.step,
        high.step,
        **counts,
        argnonfinite=min((p.step for p in points if not math.isfinite(p.value)), default=x),
    )


def mean(values: Sequence[float]) -> float:
    """The exact mean, to as many binary digits of the largest magnitude as 33 less those of the
    number of values, 20 at least; no less than the least value and no more than the greatest.
    """
    low, high = min(values), max(values)
    digits = max(20, 33 - len(values).bit_length())
    unit = Fraction(2) ** (math.frexp(max(abs(low), abs(high)))[1] - digits)
    exact = sum(map(Fraction, values)) / len(values)
    shown = math.floor(exact / unit + 1 - Fraction(MIDDLE)) * unit
    # A multiple of the unit is a double, unless it lies beyond them all.
    return float(min(max(shown, Fraction(low)), Fraction(high)))


def _ordered(value: float) -> int:
    """An integer that orders like VALUE, and puts -0.0 before 0.0."""
    pattern = bits(value)
    return -(pattern & (2**63 - 1)) - 1 if pattern >> 63 else pattern
