"""Charts: statistics, one plan, one statement for each grid, lines cut from its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Descent, is_uncut
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store

from .axes import as_of
from .blocks import Array, columns, runs_of_equal
from .buckets import COLUMNS, chart_columns
from .chart_sql import chart_statement
from .grid import Grid, grid, single
from .names import UnknownMetricsError
from .plan import Extent, reads, wants_tier
from .request import Axis, ChartQuery, Range, Ranks
from .series import Shown, read_series
from .views import Views, read_views

LineKey = tuple[int, int, int | None]
"""View, metric, rank; no rank for a band."""

_MAX_WIDTH = 2**64 - 1


@dataclass(slots=True)
class Panel:
    """Metrics whose charts have buckets of the same width, and that lineage treats alike."""

    grid: Grid
    uncut: bool = False
    metrics: list[int] = field(default_factory=list)
    extents: list[Extent] = field(default_factory=list)
    first: int = 2**63
    """The least step that is stored of its visible series, and one past the greatest one, before
    the request cuts."""
    end: int = -(2**63)


@dataclass(frozen=True, slots=True)
class Line:
    """Its columns have one entry a bucket."""

    grid: Grid
    tier: int
    columns: Mapping[str, Array]


def read_chart(
    store: Store,
    query: ChartQuery,
    descents: Mapping[str, Descent],
    limits: Mapping[str, Setting],
    *,
    began: Mapping[str, int] | None = None,
) -> Iterator[query_pb2.ChartLine]:
    """The lines in the order of the requested runs, metrics, and ranks. DESCENTS are those of the
    runs, BEGAN (for Axis.RELATIVE) is when each began, in milliseconds since the epoch.

    Raises UnknownMetricsError, StoreError.
    """
    metrics = {name: siphash64(name) for name in query.metrics}
    rank = query.rank if query.ranks is Ranks.ONE else None
    by_rank = query.ranks is Ranks.ALL
    views = read_views(store, query, descents, limits)
    series = read_series(store, views.sources, metrics.values(), rank=rank, limits=limits)
    if not series and not (
        rank is not None and read_series(store, views.sources, metrics.values(), limits=limits)
    ):
        raise UnknownMetricsError(query.run_ids, query.metrics)
    reader = _Reader(store, views, limits)
    timed = query.axis in (Axis.TIME, Axis.RELATIVE)
    other = _other(reader, query) if query.axis is Axis.METRIC else []
    shown = views.visible(series, metrics)
    lines: dict[LineKey, Line] = {}
    for panel in _panels(query, shown):
        found = reader.lines(panel, query.steps, by_rank=by_rank, rank=rank, moments=timed)
        lines |= reader.along(other, panel.grid, query, found) if other else found
    for view in views:
        origin = began[view.run_id] if began and query.axis is Axis.RELATIVE else 0
        for name, metric in metrics.items():
            for place in _ranks(shown, view.key, metric) if by_rank else (rank,):
                line = lines.get((view.key, metric, place if by_rank else None))
                yield _message(view.run_id, name, place, line, origin)


def _other(reader: _Reader, query: ChartQuery) -> list[Shown]:
    """The series of the metric on the x axis that are visible."""
    metrics = {query.x_metric: siphash64(query.x_metric)}
    series = read_series(reader.store, reader.views.sources, metrics.values(), limits=reader.limits)
    if not series:
        raise UnknownMetricsError(query.run_ids, [query.x_metric])
    return reader.views.visible(series, metrics)


def _panels(query: ChartQuery, shown: Sequence[Shown]) -> list[Panel]:
    by_metric: dict[int, list[Shown]] = {}
    for one in shown:
        by_metric.setdefault(one.series.metric, []).append(one)
    uncut = {siphash64(name) for name in query.metrics if is_uncut(name)}
    panels: dict[tuple[bool, int, int], Panel] = {}
    for metric, parts in by_metric.items():
        first = min(one.first for one in parts)
        end = max(one.end for one in parts)
        bounds = _cut(query.steps, first, end)
        if bounds is None:
            continue
        own = grid(*bounds, query.points, tiers.WIDTHS)
        alike = own.tier if own.count > 1 else own.origin
        key = (metric in uncut, own.width, alike)
        panel = panels.setdefault(key, Panel(own, metric in uncut))
        panel.grid = _joined(panel.grid, own)
        panel.metrics.append(metric)
        panel.extents += [one.series.extent for one in parts]
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads panels of the same views."""

    store: Store
    views: Views
    limits: Mapping[str, Setting]

    def lines(
        self, panel: Panel, steps: Range, *, by_rank: bool, rank: int | None, moments: bool = False
    ) -> dict[LineKey, Line]:
        # A bound of the request that cuts nothing off costs no edge.
        lo = None if steps.start is None or steps.start <= panel.first else steps.start
        hi = None if steps.stop is None or steps.stop >= panel.end else steps.stop
        tier = wants_tier(panel.grid, panel.extents)
        plan = reads(self.views.lineages(panel.uncut), panel.grid, lo, hi, tier=tier)
        if not plan:
            return {}
        used = max(read.piece.tier for read in plan)
        statement = chart_statement(
            panel.grid, plan, panel.metrics, by_rank=by_rank, rank=rank, moments=moments
        )
        result = columns(
            self.store.stream_native(
                statement.sql, statement.params, {**self.limits, **statement.settings}
            )
        )
        if not result:
            return {}
        keys = [result["line"], result["metric"], *([result["rank"]] if by_rank else [])]
        values = chart_columns(panel.grid, result)
        found: dict[LineKey, Line] = {}
        for begin, end in runs_of_equal(*keys):
            view, metric, *place = (int(key[begin]) for key in keys)
            cut = {name: column[begin:end] for name, column in values.items()}
            found[view, metric, place[0] if place else None] = Line(panel.grid, used, cut)
        return found

    def along(
        self,
        other: Sequence[Shown],
        grid: Grid,
        query: ChartQuery,
        lines: Mapping[LineKey, Line],
    ) -> dict[LineKey, Line]:
        """LINES, which share GRID, over the values that the series OTHER, of the metric on the x
        axis of QUERY, have at the end of each bucket; without the buckets before their first value.
        """
        steps, uncut = query.steps, is_uncut(query.x_metric)
        panel = _panel(grid, uncut, other)
        within = self._by_view(panel, steps)
        bound = grid.first_x if steps.start is None else max(grid.first_x, steps.start)
        earlier: dict[int, Line] = {}
        if panel.first < bound:
            whole = single(panel.first, bound, tiers.WIDTHS)
            earlier = self._by_view(_panel(whole, uncut, other), Range(None, bound))
        found = {}
        for key, line in lines.items():
            at = as_of(
                line.columns["x"],
                [part.columns for part in (earlier.get(key[0]), within.get(key[0])) if part],
            )
            known = ~np.isnan(at)
            cut = {name: column[known] for name, column in line.columns.items()}
            found[key] = Line(line.grid, line.tier, {**cut, "at": at[known]})
        return found

    def _by_view(self, panel: Panel, steps: Range) -> dict[int, Line]:
        found = self.lines(panel, steps, by_rank=False, rank=None)
        return {view: line for (view, _, _), line in found.items()}


def _panel(grid: Grid, uncut: bool, shown: Sequence[Shown]) -> Panel:
    """Of the series of one metric."""
    return Panel(
        grid,
        uncut,
        [shown[0].series.metric],
        [one.series.extent for one in shown],
        min(one.first for one in shown),
        max(one.end for one in shown),
    )


def _ranks(shown: Sequence[Shown], view: int, metric: int) -> list[int | None]:
    found: set[int] = set()
    for one in shown:
        if one.line == view and one.series.metric == metric:
            found.update(one.series.ranks)
    return [*sorted(found)] or [None]


def _message(
    run_id: str, metric: str, rank: int | None, line: Line | None, began: int
) -> query_pb2.ChartLine:
    message = query_pb2.ChartLine(run_id=run_id, metric=metric, rank=rank)
    if line is not None:
        message.bucket_width = min(line.grid.width, _MAX_WIDTH)
        message.tier_width = line.tier
        message.rows = len(line.columns["x"])
        for name in COLUMNS:
            setattr(message, name, line.columns[name].tobytes())
        if "moment" in line.columns:
            message.at = (line.columns["moment"] - began).tobytes()
        elif "at" in line.columns:
            message.at = line.columns["at"].tobytes()
    return message
