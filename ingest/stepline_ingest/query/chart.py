"""Charts: statistics, panels, lines, messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Descent
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store

from .axes import as_of
from .entries import Entry, grouped, message, with_smooth
from .grid import single
from .groups import Groups
from .log_lines import log_lines
from .names import UnknownMetricsError
from .panels import Panel, panel_of, panels
from .parallel import at_once
from .rank_means import rank_means, with_quantiles, worst_ranks
from .reader import Line, LineKey, Reader
from .request import Axis, ChartQuery, Range, Ranks
from .series import Shown, read_series
from .views import View, read_views
from .within import read_within


def read_chart(
    store: Store,
    query: ChartQuery,
    descents: Mapping[str, Descent],
    limits: Mapping[str, Setting],
    *,
    began: Mapping[str, int] | None = None,
    groups: Groups | None = None,
) -> Iterator[query_pb2.ChartLine]:
    """The lines in the order of the requested runs, metrics, and ranks, each as soon as it and
    those before it are read; with GROUPS one for each of them and metric instead. DESCENTS are
    those of the runs, BEGAN (for Axis.RELATIVE) is when each began, in milliseconds since the
    epoch.

    Raises UnknownMetricsError, StoreError, ServiceError when it is too much to be compared.
    """
    since = began if began and query.axis is Axis.RELATIVE else {}

    def read(asked: ChartQuery) -> Iterator[tuple[View, str, int | None, Line | None]]:
        mine = {run_id: descents[run_id] for run_id in asked.run_ids}
        return read_lines(store, asked, mine, limits)

    lines = read(query)
    if query.within is not None:
        lines = read_within(query, query.within, read, began=since)
    entries: Iterator[Entry] = (
        Entry(view.run_id, metric, rank, _at(line, since.get(view.run_id, 0)), view.attempt)
        for view, metric, rank, line in lines
    )
    if groups is not None:
        entries = grouped(entries, groups, query)
    if query.smoothing is not None:
        entries = with_smooth(entries, query.smoothing, query.axis)
    for entry in entries:
        yield message(entry, query)


def _at(line: Line | None, began: int) -> Line | None:
    """LINE with its moments counted from BEGAN."""
    if line is None or "moment" not in line.columns:
        return line
    columns = dict(line.columns)
    columns["at"] = columns.pop("moment") - began
    return replace(line, columns=columns)


def read_lines(
    store: Store,
    query: ChartQuery,
    descents: Mapping[str, Descent],
    limits: Mapping[str, Setting],
) -> Iterator[tuple[View, str, int | None, Line | None]]:
    """The same as columns: view, name of the metric, rank (None of a band), and the line, None
    where nothing is to be shown.
    """
    metrics = {name: siphash64(name) for name in query.metrics}
    rank = query.rank if query.ranks is Ranks.ONE else None
    views = read_views(store, query, descents, limits)
    known = store.expired.fills()
    series = read_series(store, views.sources, metrics.values(), rank=rank, limits=limits)
    if not series and not (
        rank is not None and read_series(store, views.sources, metrics.values(), limits=limits)
    ):
        raise UnknownMetricsError(query.run_ids, query.metrics)
    reader = Reader(store, views, limits, known)
    other = _other(reader, query) if query.axis is Axis.METRIC else None
    shown = views.visible(series, metrics)
    unread = panels(query, shown)
    worst, places = None, None
    if query.ranks is Ranks.ALL:
        places = _ranks(shown)
    elif query.ranks is Ranks.STRAGGLERS:
        worst = worst_ranks(reader, unread, query.steps, query.stragglers)
        places = {pair: list(ranks) for pair, ranks in worst.items()}
    waiting = _lines_in_order(query, views, metrics, places)
    lines: dict[LineKey, Line] = {}
    for key, view, name, place in waiting:
        # What is ready goes out before the next panel is read.
        while unread and any(key[0] in panel.views and key[1] in panel.metrics for panel in unread):
            panel = unread.pop(0)
            found = _panel_lines(reader, panel, query, worst)
            lines |= found if other is None else _along(reader, panel, query, found, other)
        yield view, name, place, lines.pop(key, None)


def _panel_lines(
    reader: Reader,
    panel: Panel,
    query: ChartQuery,
    worst: Mapping[tuple[int, int], Mapping[int, float]] | None,
) -> dict[LineKey, Line]:
    """Of the ranks WORST where that is given, else of those of QUERY."""
    ranks = [query.rank] if query.ranks is Ranks.ONE else None
    if worst is not None:
        pairs = itertools.product(panel.views, panel.metrics)
        ranks = sorted({rank for pair in pairs for rank in worst.get(pair, ())})

    def read() -> dict[LineKey, Line]:
        lines = partial(log_lines, reader, points=query.points) if query.log_x else reader.lines
        return lines(
            panel,
            query.steps,
            by_rank=query.ranks in (Ranks.ALL, Ranks.STRAGGLERS),
            ranks=ranks,
            columns=query.read_columns,
            moments=query.axis in (Axis.TIME, Axis.RELATIVE),
        )

    if query.quantiles and not query.group_by:
        calls: list[Callable[[], Any]] = [read, lambda: rank_means(reader, panel, query.steps)]
        bands, means = at_once(calls)
        return with_quantiles(bands, means, query.quantiles)
    found = read()
    if worst is not None:
        far: dict[LineKey, float] = {
            (*pair, rank): score for pair, scores in worst.items() for rank, score in scores.items()
        }
        return {key: replace(line, deviation=far.get(key)) for key, line in found.items()}
    return found


def _lines_in_order(
    query: ChartQuery,
    views: Iterable[View],
    metrics: Mapping[str, int],
    ranks: Mapping[tuple[int, int], Sequence[int]] | None,
) -> Iterator[tuple[LineKey, View, str, int | None]]:
    """With RANKS a line for each of those of a view and metric."""
    only = query.rank if query.ranks is Ranks.ONE else None
    for view in views:
        for name, metric in metrics.items():
            if ranks is None:
                yield (view.key, metric, None), view, name, only
                continue
            for place in ranks.get((view.key, metric), (None,)):
                yield (view.key, metric, place), view, name, place


def _ranks(shown: Sequence[Shown]) -> dict[tuple[int, int], list[int]]:
    found: dict[tuple[int, int], set[int]] = {}
    for one in shown:
        found.setdefault((one.line, one.series.metric), set()).update(one.series.ranks)
    return {key: sorted(ranks) for key, ranks in found.items()}


def _other(reader: Reader, query: ChartQuery) -> list[Shown]:
    """The series of the metric on the x axis that are visible."""
    metrics = {query.x_metric: siphash64(query.x_metric)}
    series = read_series(reader.store, reader.views.sources, metrics.values(), limits=reader.limits)
    if not series:
        raise UnknownMetricsError(query.run_ids, [query.x_metric])
    return reader.views.visible(series, metrics)


def _along(
    reader: Reader,
    panel: Panel,
    query: ChartQuery,
    lines: Mapping[LineKey, Line],
    other: Sequence[Shown],
) -> dict[LineKey, Line]:
    """LINES of PANEL over the values that the series OTHER, of the metric on the x axis of QUERY,
    have at the end of each bucket; without the buckets before their first value.
    """
    start, grid = query.steps.start, panel.grid
    beside = panel_of(panel, query.x_metric, grid, other)
    within = _lasts(reader, beside, query.steps)
    bound = grid.first_x if start is None else max(grid.first_x, start)
    earlier: dict[int, Line] = {}
    if beside is not None and beside.first < bound:
        whole = single(beside.first, bound, tiers.WIDTHS)
        before = panel_of(panel, query.x_metric, whole, other)
        earlier = _lasts(reader, before, Range(None, bound))
    found = {}
    for key, line in lines.items():
        parts = [part.columns for part in (earlier.get(key[0]), within.get(key[0])) if part]
        at = as_of(line.columns["x"], parts)
        known = ~np.isnan(at)
        cut = {name: column[known] for name, column in line.columns.items()}
        quantiles = [column[known] for column in line.quantiles]
        found[key] = replace(line, columns={**cut, "at": at[known]}, quantiles=quantiles)
    return found


def _lasts(reader: Reader, panel: Panel | None, steps: Range) -> dict[int, Line]:
    """By view, over all ranks."""
    if panel is None:
        return {}
    found = reader.lines(panel, steps, columns=("last",))
    return {view: line for (view, _, _), line in found.items()}
