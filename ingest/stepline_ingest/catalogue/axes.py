"""The axis that a chart is drawn over when nobody says one: as `define_metric(x=)` set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepline._core import siphash64
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Param, Setting, Store

from .definitions import Definitions

_PLAIN = ("step", "time", "relative")
_PREFIX = "metric:"
_LOGGED = (
    "SELECT uniqExact(run) FROM raw_metrics WHERE metric = {metric:UInt64} "
    "AND run IN {runs:Array(UInt64)}"
)


def defined_axis(runs: Sequence[RunRecord], metrics: Sequence[str]) -> str:
    """What ChartRequest.x would say; empty when nothing is set, or not the same for all METRICS in
    all RUNS."""
    said = {
        definitions.of(metric).x
        for definitions in (Definitions([run.config]) for run in runs)
        for metric in metrics
    }
    if len(said) != 1:
        return ""
    (axis,) = said
    return axis if axis in ("", *_PLAIN) or axis.startswith(_PREFIX) else f"{_PREFIX}{axis}"


def is_logged(
    store: Store, runs: Sequence[RunRecord], axis: str, limits: Mapping[str, Setting]
) -> bool:
    """Whether all of RUNS, or what they were forked from, have logged the metric of AXIS. Raises
    StoreError."""
    if not axis.startswith(_PREFIX):
        return True
    for run in runs:
        sources = {run.descent.run, *(segment.run for segment in run.descent.base)}
        metric = siphash64(axis[len(_PREFIX) :])
        params: dict[str, Param] = {"metric": metric, "runs": list(sources)}
        if store.query(_LOGGED, params, limits) == [(0,)]:
            return False
    return True
