"""Reads the lines of a watched chart, as Query.Chart would."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import replace

from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.failure import query_failure
from stepline_ingest.query.groups import groups_of
from stepline_ingest.query.names import UnknownMetricsError, matching_names
from stepline_ingest.query.own_axis import over, own_axis
from stepline_ingest.query.request import MAX_LINES, ChartQuery
from stepline_ingest.query.series import sources
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Store, StoreError

from .request import WatchedQuery

_reading_for: ContextVar[str | None] = ContextVar("reading_for", default=None)


def reading_for() -> str | None:
    """The project whose chart is read in the current context. A chart has no caller: several may
    watch it."""
    return _reading_for.get()


class ChartSource:
    """EXECUTOR runs what blocks."""

    def __init__(self, store: Store, limits: Limits, executor: Executor) -> None:
        self._store = store
        self._limits = limits
        self._engine_limits = limits.of_a_query()
        self._executor = executor

    async def read(
        self, query: WatchedQuery, runs: Sequence[RunRecord]
    ) -> list[query_pb2.ChartLine]:
        """The lines of RUNS, none while they have no point of the chart. Raises ServiceError."""
        _reading_for.set(runs[0].project if runs else None)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._lines, query, runs)

    def _lines(self, query: WatchedQuery, runs: Sequence[RunRecord]) -> list[query_pb2.ChartLine]:
        try:
            descents = {run.run_id: run.descent for run in runs}
            metrics = self._metrics(query, descents.values())
            if not metrics:
                return []
            chart, axis = self._over_own_axis(query, metrics, runs)
            began = {run.run_id: run.created_ms for run in runs}
            groups = groups_of(chart.group_by, runs) if chart.group_by else None
            lines = list(
                read_chart(
                    self._store, chart, descents, self._engine_limits, began=began, groups=groups
                )
            )
            for line in lines:
                line.defined_x = axis
            return lines
        except UnknownMetricsError:
            return []
        except StoreError as error:
            raise query_failure(error, self._limits) from error

    def _over_own_axis(
        self, query: WatchedQuery, metrics: tuple[str, ...], runs: Sequence[RunRecord]
    ) -> tuple[ChartQuery, str]:
        """The chart of METRICS, and the axis that it has from their definitions, if any: that may
        come with the first points of the metric that is the axis."""
        chart = replace(query.chart, metrics=metrics)
        if not query.axisless:
            return chart, ""
        axis = own_axis(self._store, chart, runs, self._engine_limits)
        if axis:
            _, chart = over(query_pb2.ChartRequest.FromString(query.axisless), axis)
        return replace(chart, metrics=metrics), axis

    def _metrics(self, query: WatchedQuery, descents: Collection[Descent]) -> tuple[str, ...]:
        """The metrics of a chart that are named, and those that match its patterns now; as many as
        a chart may have."""
        names = dict.fromkeys(query.chart.metrics)
        if query.patterns:
            shown = [d.run for d in descents] + sources(d.base for d in descents)
            found = matching_names(self._store, shown, query.patterns, self._engine_limits)
            names |= dict.fromkeys(sorted(found.values()))
        return tuple(names)[: MAX_LINES // len(query.chart.run_ids)]
