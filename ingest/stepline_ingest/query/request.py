"""Requests as the planner takes them: checked, with defaults filled in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from stepline_ingest.errors import invalid
from stepline_ingest.gen.stepline.v1 import query_pb2

from . import quantiles, stragglers
from .log_grid import LEAST_POINTS
from .smoothing import Smoothing, smoothing

DEFAULT_POINTS = 1_000
MAX_POINTS = 100_000
MAX_LINES = 10_000
"""Pairs of run and metric in one chart."""
MAX_COLUMNS = 100
"""Named by one chart."""


class Axis(Enum):
    STEP = "step"
    TIME = "time"
    """When a bucket's first point was logged."""
    RELATIVE = "relative"
    """The same since the run began."""
    METRIC = "metric"
    """The last value of another metric."""


METRIC_AXIS = "metric:"
COLUMNS = ("x", "min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite")
"""The columns of ChartLine that come unasked; each entry has 8 bytes."""
ARGNONFINITE = "argnonfinite"
"""The one that is asked for."""


class Ranks(Enum):
    BAND = "band"
    """One line over all ranks."""
    ALL = "all"
    """One line a rank."""
    STRAGGLERS = "stragglers"
    """The same, of those that deviate most."""
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Range:
    """Steps start <= step < stop; None is open."""

    start: int | None
    stop: int | None

    @property
    def is_empty(self) -> bool:
        return self.start is not None and self.stop is not None and self.start >= self.stop


@dataclass(frozen=True, slots=True)
class Span:
    """A range of an axis, both ends inclusive; an end that is not finite is open."""

    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class ChartQuery:
    run_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    points: int
    steps: Range
    ranks: Ranks
    rank: int
    """The one of Ranks.ONE."""
    axis: Axis = Axis.STEP
    x_metric: str = ""
    """The one of Axis.METRIC."""
    common_grid: bool = False
    """All runs of a metric have buckets of the same width."""
    columns: frozenset[str] = frozenset(COLUMNS)
    """The columns that are wanted."""
    all_attempts: bool = False
    stragglers: int = stragglers.DEFAULT_COUNT
    """How many, with Ranks.STRAGGLERS."""
    smoothing: Smoothing | None = None
    quantiles: tuple[float, ...] = ()
    """Of bands."""
    log_x: bool = False
    """Buckets are even in the logarithm of the step."""
    group_by: str = ""
    """What runs have in common that share a line; empty when each has its own."""
    within: Span | None = None
    """The range of an axis that is not that of steps."""

    @property
    def read_columns(self) -> frozenset[str]:
        """The columns that are read; some only to make others of them."""
        made = self.smoothing is not None or self.group_by
        return self.columns | {"mean"} if made else self.columns


def chart_query(request: query_pb2.ChartRequest, *, named: bool = True) -> ChartQuery:
    """Raises ServiceError(INVALID_ARGUMENT). With NAMED it has to name a metric."""
    if not request.run_ids or (named and not request.metrics):
        raise invalid(
            "a chart needs at least one run and one metric; name them in run_ids and metrics"
        )
    # Before any of them is looked at: a message has room for millions.
    if max(len(request.run_ids), len(request.metrics)) > MAX_LINES:
        raise invalid(
            f"{len(request.run_ids)} runs and {len(request.metrics)} metrics are named, "
            f"{MAX_LINES} of each are allowed: ask for them in several charts"
        )
    axis, x_metric = _axis(request.x)
    if request.points > MAX_POINTS:
        raise invalid(
            f"{request.points} points are more than the {MAX_POINTS} a chart may have; "
            "ask for fewer, or read every point with history()"
        )
    # Repeated names would be repeated lines; the order of the first mention is kept.
    run_ids = tuple(dict.fromkeys(request.run_ids))
    metrics = tuple(dict.fromkeys(request.metrics))
    if len(run_ids) * len(metrics) > MAX_LINES:
        raise invalid(
            f"{len(run_ids)} runs times {len(metrics)} metrics are more than {MAX_LINES} lines; "
            "ask for them in several charts"
        )
    ranks = _ranks(request.ranks)
    if request.quantiles and ranks is not Ranks.BAND and not request.group_by:
        raise invalid(
            "quantiles are of a band over ranks or over a group of runs, and lines of single ranks "
            "have none: ask for the band, or leave `quantiles` away"
        )
    if request.group_by:
        _check_grouped(ranks, axis, every_attempt=request.all_attempts)
    if request.log_x:
        _check_logarithmic(request, ranks, axis)
    steps, within = step_range(request), _span(request)
    if axis is Axis.STEP and within is not None:
        steps, within = _steps_of(steps, within), None
    return ChartQuery(
        run_ids=run_ids,
        metrics=metrics,
        points=request.points or DEFAULT_POINTS,
        steps=steps,
        ranks=ranks,
        rank=request.ranks.rank,
        axis=axis,
        x_metric=x_metric,
        # What is put together bucket by bucket has the same buckets.
        common_grid=request.common_grid or bool(request.group_by) or request.log_x,
        columns=_columns(request.columns),
        all_attempts=request.all_attempts,
        stragglers=request.ranks.stragglers or stragglers.DEFAULT_COUNT,
        smoothing=smoothing(request.smoothing),
        quantiles=quantiles.checked(request.quantiles),
        group_by=request.group_by,
        log_x=request.log_x,
        within=within,
    )


def _ranks(selection: query_pb2.RankSelection) -> Ranks:
    kind = selection.WhichOneof("kind")
    if selection.stragglers > stragglers.MAX_COUNT:
        raise invalid(
            f"{selection.stragglers} stragglers are more than the {stragglers.MAX_COUNT} of a "
            "chart; ask for fewer, or for all ranks"
        )
    others = {"all": Ranks.ALL, "rank": Ranks.ONE, "stragglers": Ranks.STRAGGLERS}
    return others.get(kind or "band", Ranks.BAND)


def _check_logarithmic(request: query_pb2.ChartRequest, ranks: Ranks, axis: Axis) -> None:
    if request.points and request.points < LEAST_POINTS:
        raise invalid(
            f"{request.points} points are too few for a logarithmic axis: ask for {LEAST_POINTS} "
            "or more"
        )
    over_ranks = bool(request.quantiles) and not request.group_by
    if over_ranks or ranks is Ranks.STRAGGLERS or axis is Axis.METRIC:
        raise invalid(
            "quantiles over ranks, stragglers and the axis of another metric need even buckets: "
            "leave `log_x` away"
        )


def _check_grouped(ranks: Ranks, axis: Axis, *, every_attempt: bool) -> None:
    if every_attempt:
        raise invalid(
            "a group is made of what its runs show, not of single attempts: "
            "leave `group_by` or `all_attempts` away"
        )
    if ranks in (Ranks.ALL, Ranks.STRAGGLERS):
        raise invalid(
            "a group of runs is one line over all their ranks, or of one rank of each: "
            "leave `group_by` away to see single ranks"
        )
    if axis is Axis.METRIC:
        raise invalid(
            "runs that are grouped have no other metric in common as their x axis: "
            "use 'step', 'time' or 'relative'"
        )


def _columns(names: Sequence[str]) -> frozenset[str]:
    known = (*COLUMNS, ARGNONFINITE)
    if len(names) > MAX_COLUMNS:
        raise invalid(f"{len(names)} columns, {MAX_COLUMNS} are allowed: name each once")
    for name in names:
        if name not in (*known, "at"):
            raise invalid(f"a chart has no column {name!r}: it has {', '.join(known)} and at")
    return frozenset(names or COLUMNS)


def _axis(x: str) -> tuple[Axis, str]:
    if x.startswith(METRIC_AXIS) and x != METRIC_AXIS:
        return Axis.METRIC, x[len(METRIC_AXIS) :]
    if x in ("", "step", "time", "relative"):
        return Axis(x or "step"), ""
    raise invalid(
        f"the x axis cannot be {x!r}: "
        "use 'step', 'time', 'relative', or 'metric:' and the name of a metric"
    )


def _span(request: query_pb2.ChartRequest) -> Span | None:
    """Raises ServiceError(INVALID_ARGUMENT) for an inverted range, and for one of NaN."""
    if not (request.HasField("at_start") or request.HasField("at_stop")):
        return None
    lo = request.at_start if request.HasField("at_start") else -math.inf
    hi = request.at_stop if request.HasField("at_stop") else math.inf
    if not lo <= hi:
        raise invalid(
            f"the range of the x axis begins at {lo} and stops at {hi}: at_start must be a number "
            "that is at most at_stop"
        )
    return Span(lo, hi)


def _steps_of(steps: Range, span: Span) -> Range:
    """STEPS that lie in SPAN as well."""
    start = math.ceil(span.lo) if math.isfinite(span.lo) else None
    stop = math.floor(span.hi) + 1 if math.isfinite(span.hi) else None
    lows = [bound for bound in (steps.start, start) if bound is not None]
    highs = [bound for bound in (steps.stop, stop) if bound is not None]
    first = max(lows, default=None)
    end = min(highs, default=None)
    if first is not None and end is not None and first > end:
        return Range(first, first)
    return Range(first, end)


def step_range(
    request: query_pb2.ChartRequest | query_pb2.HistoryRequest | query_pb2.ExportRequest,
) -> Range:
    """Raises ServiceError(INVALID_ARGUMENT) for an inverted range."""
    start = request.start if request.HasField("start") else None
    stop = request.stop if request.HasField("stop") else None
    if start is not None and stop is not None and start > stop:
        raise invalid(
            f"the range of steps begins at {start} and stops before it, at {stop}; "
            "swap start and stop"
        )
    return Range(start, stop)
