"""What is asked for with Watch: checked, with defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass

from stepline_ingest.errors import invalid
from stepline_ingest.gen.stepline.v1 import live_pb2
from stepline_ingest.query.request import ChartQuery, chart_query

MAX_CHARTS = 64
MAX_PATTERNS = 100
DEFAULT_INTERVAL = 0.25
MIN_INTERVAL = 0.05
MAX_INTERVAL = 60.0


@dataclass(frozen=True, slots=True)
class WatchedQuery:
    """One chart. Equal ones are read once, however many watch them."""

    chart: ChartQuery
    patterns: tuple[str, ...]
    """Names that match one of them are added to the metrics of the chart."""
    axisless: bytes = b""
    """The request for the chart, where it says no axis: it is that of the metrics, once they are
    known."""


def watched_queries(request: live_pb2.WatchRequest) -> tuple[list[WatchedQuery], float]:
    """The charts, and the seconds between two updates. Raises ServiceError(INVALID_ARGUMENT)."""
    if not 1 <= len(request.charts) <= MAX_CHARTS:
        raise invalid(
            f"{len(request.charts)} charts cannot be watched by one call: "
            f"ask for 1 to {MAX_CHARTS} in `charts`"
        )
    queries = []
    for watched in request.charts:
        if len(watched.patterns) > MAX_PATTERNS or not all(watched.patterns):
            raise invalid(
                f"`patterns` takes at most {MAX_PATTERNS} texts, none of them empty: "
                "watch the others by another chart"
            )
        patterns = tuple(dict.fromkeys(watched.patterns))
        chart = chart_query(watched.chart, named=not patterns)
        axisless = b"" if watched.chart.x else watched.chart.SerializeToString(deterministic=True)
        queries.append(WatchedQuery(chart, patterns, axisless))
    wanted = request.interval_ms / 1000 or DEFAULT_INTERVAL
    return queries, min(max(wanted, MIN_INTERVAL), MAX_INTERVAL)
