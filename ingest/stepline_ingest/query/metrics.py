"""The metrics of a run with what can be said of each: of the points that the run shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import (
    STEP_END,
    STEP_MIN,
    Descent,
    Lineage,
    Segment,
    is_uncut,
    uncut,
)
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store

from .blocks import columns
from .buckets import unpacked_value
from .names import NamesQuery, find_names
from .select import plain, select
from .series import read_lineages, sources

_COLUMNS = {
    **plain("metric", "rank"),
    "points": tiers.COUNT,
    "nonfinite": tiers.NONFINITE,
    "low": tiers.LOW,
    "high": tiers.HIGH,
    "last_value": tiers.LAST,
    "first_step": tiers.FIRST_STEP,
    "last_step": tiers.LAST_STEP,
}
_RUN = "run = {run:UInt64}"
_ATTEMPT = "attempt = {attempt:UInt32}"
_STEPS = ("step >= {first:Int64}", "step <= {last:Int64}")
_KEYS = ("metric", "rank")
_FEW = 1_000
"""Up to so many metrics are looked up one by one; for more of them the run is read as a whole."""


@dataclass(slots=True)
class _Summary:
    """One metric over ranks and attempts."""

    count: int = 0
    nonfinite: int = 0
    ranks: set[int] = field(default_factory=set)
    first_step: int = STEP_END
    last: tuple[int, int] = (STEP_MIN - 1, 0)
    """The greatest step, and the lowest rank there, negated."""
    last_value: float = math.nan
    min: float = math.nan
    max: float = math.nan

    def add(
        self,
        rank: int,
        points: int,
        nonfinite: int,
        first_step: int,
        last_step: int,
        last_value: float,
        low: float,
        high: float,
    ) -> None:
        self.count += points
        self.nonfinite += nonfinite
        self.ranks.add(rank)
        self.first_step = min(self.first_step, first_step)
        if points == nonfinite:
            last_value = math.nan
        else:
            # NaN compares as false: the first finite extremes are taken as they are.
            self.min = self.min if self.min <= low else low
            self.max = self.max if self.max >= high else high
        if (last_step, -rank) > self.last:
            self.last, self.last_value = (last_step, -rank), last_value


def read_metrics(
    store: Store, query: NamesQuery, descent: Descent, limits: Mapping[str, Setting]
) -> query_pb2.ListMetricsReply:
    """In the order of names; without those of which the run shows no point.

    Raises ServiceError for a bad regular expression, StoreError.
    """
    shown = read_lineages(store, [descent], limits)[descent.run]
    runs = list(dict.fromkeys([descent.run, *sources([shown])]))
    names, total = find_names(store, runs, query, limits)
    summaries: dict[int, _Summary] = {}
    of_uncut = {metric for metric, name in names.items() if is_uncut(name)}
    _summarize(store, shown, names.keys() - of_uncut, limits, summaries)
    _summarize(store, uncut(descent.run), of_uncut, limits, summaries)
    found = [
        _message(name, summaries[metric]) for metric, name in names.items() if metric in summaries
    ]
    return query_pb2.ListMetricsReply(metrics=found, total=total)


def _summarize(
    store: Store,
    shown: Lineage,
    metrics: AbstractSet[int],
    limits: Mapping[str, Setting],
    summaries: dict[int, _Summary],
) -> None:
    """Adds what SHOWN has of METRICS."""
    if not metrics:
        return
    only = sorted(metrics) if len(metrics) <= _FEW else []
    for segment in shown:
        for metric, *row in _statistics(store, only, segment, limits):
            if metric in metrics:
                summaries.setdefault(metric, _Summary()).add(*row)


def _statistics(
    store: Store,
    only: Sequence[int],
    segment: Segment,
    limits: Mapping[str, Setting],
) -> Iterator[tuple[Any, ...]]:
    """(metric, and what _Summary.add takes) of what SEGMENT shows of the metrics ONLY; of all
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
    settings: dict[str, Setting] = {"preferred_optimize_projection_name": tiers.SERIES}
    if segment.to_step < STEP_END or not segment.whole_below:
        # An attempt that was cut has to be read point by point.
        where += _STEPS
        params |= {"first": segment.from_step, "last": segment.to_step - 1}
        settings = {"optimize_use_projections": 0}
    sql = select(_COLUMNS, tiers.TABLE, where=where, group_by=_KEYS, order_by=_KEYS)
    found = columns(store.stream_native(sql, params, {**limits, **settings}))
    if not found:
        return iter(())
    found["low"], found["high"] = unpacked_value(found["low"]), unpacked_value(found["high"])
    order = (
        "metric",
        "rank",
        "points",
        "nonfinite",
        "first_step",
        "last_step",
        "last_value",
        "low",
        "high",
    )
    return zip(*(found[name].tolist() for name in order), strict=True)


def _message(name: str, found: _Summary) -> query_pb2.Metric:
    return query_pb2.Metric(
        name=name,
        count=found.count,
        ranks=len(found.ranks),
        first_step=found.first_step,
        last_step=found.last[0],
        last_value=found.last_value,
        min=found.min,
        max=found.max,
        nonfinite=found.nonfinite,
    )
