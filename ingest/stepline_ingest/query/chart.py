"""Charts: statistics, one plan, one statement for each grid, lines cut from its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store

from .blocks import Array, columns, runs_of_equal
from .buckets import COLUMNS, chart_columns
from .chart_sql import chart_statement
from .grid import Grid, grid
from .lineage import Lineage
from .names import UnknownMetricsError
from .plan import Extent, by_reads, pieces, wants_tier
from .request import ChartQuery, Range, Ranks
from .series import Series, read_lineages, read_series, visible

LineKey = tuple[int, int, int | None]
"""Run, metric, rank; no rank for a band."""

_MAX_WIDTH = 2**64 - 1


@dataclass(slots=True)
class Panel:
    """Metrics whose charts have buckets of the same width."""

    grid: Grid
    metrics: list[int] = field(default_factory=list)
    extents: list[Extent] = field(default_factory=list)
    first: int = 2**63
    """The least step that is stored of its visible series, and one past the greatest one, before
    the request cuts."""
    end: int = -(2**63)


@dataclass(frozen=True, slots=True)
class Line:
    grid: Grid
    tier: int
    columns: Mapping[str, Array]
    begin: int
    end: int


def read_chart(
    store: Store,
    query: ChartQuery,
    attempts: Mapping[str, Sequence[int]],
    limits: Mapping[str, Setting],
) -> Iterator[query_pb2.ChartLine]:
    """The lines in the order of the requested runs, metrics, and ranks. ATTEMPTS are the numbers
    of each run's.

    Raises UnknownMetricsError, StoreError.
    """
    runs = {run_id: siphash64(run_id) for run_id in query.run_ids}
    metrics = {name: siphash64(name) for name in query.metrics}
    rank = query.rank if query.ranks is Ranks.ONE else None
    by_rank = query.ranks is Ranks.ALL
    series = read_series(store, runs.values(), metrics.values(), rank=rank, limits=limits)
    if not series and not (
        rank is not None and read_series(store, runs.values(), metrics.values(), limits=limits)
    ):
        raise UnknownMetricsError(query.run_ids, query.metrics)
    lineages = read_lineages(
        store, {runs[run_id]: numbers for run_id, numbers in attempts.items()}, limits
    )
    lines: dict[LineKey, Line] = {}
    for panel in _panels(query, visible(series, lineages)):
        lines |= _read_panel(store, query, panel, lineages, by_rank=by_rank, limits=limits)
    for run_id, run in runs.items():
        for name, metric in metrics.items():
            for place in _ranks(series, run, metric) if by_rank else (rank,):
                key = (run, metric, place if by_rank else None)
                yield _message(run_id, name, place, lines.get(key))


def _panels(query: ChartQuery, shown: Sequence[tuple[Series, int, int]]) -> list[Panel]:
    by_metric: dict[int, list[tuple[Series, int, int]]] = {}
    for one in shown:
        by_metric.setdefault(one[0].metric, []).append(one)
    panels: dict[tuple[int, int], Panel] = {}
    for metric, parts in by_metric.items():
        first = min(begin for _, begin, _ in parts)
        end = max(stop for _, _, stop in parts)
        bounds = _cut(query.steps, first, end)
        if bounds is None:
            continue
        own = grid(*bounds, query.points, tiers.WIDTHS)
        key = (own.width, own.tier) if own.count > 1 else (own.width, own.origin)
        panel = panels.setdefault(key, Panel(own))
        panel.grid = _joined(panel.grid, own)
        panel.metrics.append(metric)
        panel.extents += [one.extent for one, _, _ in parts]
        panel.first, panel.end = min(panel.first, first), max(panel.end, end)
    return list(panels.values())


def _cut(steps: Range, first: int, end: int) -> tuple[int, int] | None:
    lo = first if steps.start is None else max(first, steps.start)
    hi = end if steps.stop is None else min(end, steps.stop)
    return (lo, hi) if lo < hi else None


def _joined(a: Grid, b: Grid) -> Grid:
    """The buckets of both; their widths are equal and their origins whole widths apart."""
    origin = min(a.origin, b.origin)
    return Grid(origin, a.width, (max(a.end, b.end) - origin) // a.width, a.tier)


def _read_panel(
    store: Store,
    query: ChartQuery,
    panel: Panel,
    lineages: Mapping[int, Lineage],
    *,
    by_rank: bool,
    limits: Mapping[str, Setting],
) -> dict[LineKey, Line]:
    # A bound of the request that cuts nothing off costs no edge.
    start, stop = query.steps.start, query.steps.stop
    lo = None if start is None or start <= panel.first else start
    hi = None if stop is None or stop >= panel.end else stop
    tier = wants_tier(panel.grid, panel.extents)
    reads = by_reads(
        {run: pieces(parts, panel.grid, lo, hi, tier=tier) for run, parts in lineages.items()}
    )
    used = max(piece.tier for plan in reads for piece in plan) if any(reads) else 0
    rank = query.rank if query.ranks is Ranks.ONE else None
    statement = chart_statement(panel.grid, reads, panel.metrics, by_rank=by_rank, rank=rank)
    result = columns(
        store.stream_native(statement.sql, statement.params, {**limits, **statement.settings})
    )
    if not result:
        return {}
    keys = [result["run"], result["metric"], *([result["rank"]] if by_rank else [])]
    values = chart_columns(panel.grid, result)
    lines: dict[LineKey, Line] = {}
    for begin, end in runs_of_equal(*keys):
        run, metric, *place = (int(key[begin]) for key in keys)
        line = Line(panel.grid, used, values, begin, end)
        lines[run, metric, place[0] if place else None] = line
    return lines


def _ranks(series: Sequence[Series], run: int, metric: int) -> list[int | None]:
    found: set[int] = set()
    for one in series:
        if one.run == run and one.metric == metric:
            found.update(one.ranks)
    return [*sorted(found)] or [None]


def _message(run_id: str, metric: str, rank: int | None, line: Line | None) -> query_pb2.ChartLine:
    message = query_pb2.ChartLine(run_id=run_id, metric=metric, rank=rank)
    if line is not None:
        message.bucket_width = min(line.grid.width, _MAX_WIDTH)
        message.tier_width = line.tier
        message.rows = line.end - line.begin
        for name in COLUMNS:
            setattr(message, name, line.columns[name][line.begin : line.end].tobytes())
    return message
