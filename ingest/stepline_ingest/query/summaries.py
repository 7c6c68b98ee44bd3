"""What can be said of each metric of a run: over the points that the run shows, its ranks together.

Nonfinite values count, and nothing else. Of equal extremes the earliest step counts; the first and
the last value are those of the lowest rank that has one there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from stepline_ingest.lineage import STEP_END, STEP_MIN, Lineage, Segment
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.expired import Fills

from .blocks import columns
from .cut_summaries import KEYS, Cut
from .expired_series import OF_CELLS, OF_SERIES, kept_statistics
from .expired_summaries import kept_rows, together
from .select import plain, select
from .summary_rows import Ends, Key, Row, read_rows

_RUN = "run = {run:UInt64}"
_ATTEMPT = "attempt = {attempt:UInt32}"
_FEW = 1_000
"""Up to so many metrics are looked up one by one; for more of them the run is read as a whole."""


@dataclass(slots=True)
class MetricSummary:
    """One metric over ranks and attempts. NaN where there is no finite value."""

    count: int = 0
    nonfinite: int = 0
    ranks: set[int] = field(default_factory=set)
    total: float = 0.0
    first: tuple[int, int] = (STEP_END, 0)
    """The least step, and the lowest rank there."""
    first_value: float = math.nan
    last: tuple[int, int] = (STEP_MIN - 1, 0)
    """The greatest step, and the lowest rank there, negated."""
    last_value: float = math.nan
    min: float = math.nan
    min_step: int = STEP_END
    max: float = math.nan
    max_step: int = STEP_END

    @property
    def mean(self) -> float:
        finite = self.count - self.nonfinite
        return self.total / finite if finite else math.nan

    def add(
        self,
        rank: int,
        points: int,
        nonfinite: int,
        first_step: int,
        last_step: int,
        first_value: float,
        last_value: float,
        total: float,
        low: float,
        low_step: int,
        high: float,
        high_step: int,
    ) -> None:
        """What one rank has in one segment."""
        self.count += points
        self.nonfinite += nonfinite
        self.ranks.add(rank)
        if points == nonfinite:
            first_value = last_value = math.nan
        else:
            self.total += total
            # NaN compares as false: the first finite extremes are taken as they are.
            if not (self.min < low or (self.min == low and self.min_step < low_step)):
                self.min, self.min_step = low, low_step
            if not (self.max > high or (self.max == high and self.max_step < high_step)):
                self.max, self.max_step = high, high_step
        if (first_step, rank) < self.first:
            self.first, self.first_value = (first_step, rank), first_value
        if (last_step, -rank) > self.last:
            self.last, self.last_value = (last_step, -rank), last_value


def summarize(
    store: Store,
    shown: Lineage,
    metrics: AbstractSet[int] | None,
    limits: Mapping[str, Setting],
    summaries: dict[int, MetricSummary],
) -> None:
    """Adds to SUMMARIES what SHOWN has of METRICS; of all without them. Raises StoreError."""
    if metrics is not None and not metrics:
        return
    only = sorted(metrics) if metrics is not None and len(metrics) <= _FEW else []
    for segment in shown:
        for metric, *row in _statistics(store, only, segment, limits):
            if metrics is None or metric in metrics:
                summaries.setdefault(metric, MetricSummary()).add(*row)


def _statistics(
    store: Store,
    only: Sequence[int],
    segment: Segment,
    limits: Mapping[str, Setting],
) -> Iterator[tuple[Any, ...]]:
    """(metric, and what MetricSummary.add takes) of what SEGMENT shows of the metrics ONLY; of all
    without one.
    """
    params: dict[str, Param] = {"run": segment.run}
    where = [_RUN]
    if segment.attempt is not None:
        where.append(_ATTEMPT)
        params["attempt"] = segment.attempt
    if only:
        where.append("metric IN {metrics:Array(UInt64)}")
        params["metrics"] = list(only)
    cut = None
    if segment.to_step < STEP_END or not segment.whole_below:
        cut = segment.from_step, segment.to_step - 1
    return iter(_read(store, _Wanted(KEYS, where, params, cut), limits))


@dataclass(frozen=True, slots=True)
class _Wanted:
    keys: Sequence[str]
    where: Sequence[str]
    params: Mapping[str, Param]
    cut: tuple[int, int] | None = None
    """The first and the last step; everything without."""

    def stored(self, store: Store, limits: Mapping[str, Setting]) -> list[tuple[Any, ...]]:
        if self.cut is not None:
            found = Cut(store, self.where, self.params, *self.cut, limits).read()
            return [(*key, *row) for key, row in sorted(found.items())]
        settings = {**limits, "preferred_optimize_projection_name": tiers.SERIES}
        return list(read_rows(store, self.keys, self.where, self.params, settings))

    def within(self, step: str) -> tuple[list[str], dict[str, Param]]:
        """The conditions of points whose STEP lies inside, with their parameters."""
        if self.cut is None:
            return [*self.where], {**self.params}
        first, last = self.cut
        where = [*self.where, f"{step} >= {{first:Int64}}", f"{step} <= {{last:Int64}}"]
        return where, {**self.params, "first": first, "last": last}


def _read(store: Store, wanted: _Wanted, limits: Mapping[str, Setting]) -> list[tuple[Any, ...]]:
    """The keys and what MetricSummary.add takes, in the order of the keys."""
    return store.expired.settled(lambda fills: _read_under(store, wanted, limits, fills))


def _read_under(
    store: Store, wanted: _Wanted, limits: Mapping[str, Setting], fills: Fills
) -> list[tuple[Any, ...]]:
    keys = wanted.keys
    stored = wanted.stored(store, limits)
    if not fills:
        return stored
    # What is kept belongs where its first step lies: see expired_cells.py.
    where, params = wanted.within("first_step")
    # An attempt may have been cut after its points expired, so that its rows of a series are not.
    of = OF_SERIES if wanted.cut is None else OF_CELLS
    old = kept_statistics(store, keys, where, params, fills, limits, of=of)
    size = len(keys)
    by_key = {row[:size]: Row(*row[size:]) for row in stored}
    kept = list(kept_rows(old, keys))
    if not kept:
        return stored
    both = together(by_key, kept, lambda mixed: _ends(store, wanted, mixed, limits))
    return [(*key, *row) for key, row in sorted(both.items())]


def _ends(
    store: Store, wanted: _Wanted, mixed: Sequence[Key], limits: Mapping[str, Setting]
) -> dict[Key, Ends]:
    """Of the finite points of the series MIXED."""
    keys = wanted.keys
    where, params = wanted.within("step")
    sql = select(
        {**plain(*keys), "head": "min(order_key)", "tail": "max(order_key)"},
        tiers.TABLE,
        where=[*where, "metric IN {mixed:Array(UInt64)}", "isFinite(value)"],
        group_by=keys,
    )
    metrics = sorted({key[keys.index("metric")] for key in mixed})
    settings: dict[str, Setting] = {**limits, "optimize_use_projections": 0}
    found = columns(store.stream_native(sql, {**params, "mixed": metrics}, settings))
    if not found:
        return {}
    keyed = zip(*(found[name].tolist() for name in keys), strict=True)
    heads, tails = (
        zip(found[end]["high"].tolist(), found[end]["low"].tolist(), strict=True)
        for end in ("head", "tail")
    )
    return {key: (head, tail) for key, head, tail in zip(keyed, heads, tails, strict=True)}


def summarize_whole(
    store: Store, runs: Sequence[int], limits: Mapping[str, Setting]
) -> dict[int, dict[int, MetricSummary]]:
    """By run and metric, of runs that show all that is stored of them. Raises StoreError."""
    where = ["run IN {runs:Array(UInt64)}"]
    wanted = _Wanted(("run", *KEYS), where, {"runs": list(runs)})
    summaries: dict[int, dict[int, MetricSummary]] = {run: {} for run in runs}
    for run, metric, *row in _read(store, wanted, limits):
        summaries[run].setdefault(metric, MetricSummary()).add(*row)
    return summaries
