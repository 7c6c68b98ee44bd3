"""stepline.v1.Query: checks a request, reads in threads, streams what it reads, and words what
went wrong.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

import grpc

from stepline_ingest import access
from stepline_ingest.catalogue.definitions import Definitions
from stepline_ingest.errors import ServiceError, abort, invalid
from stepline_ingest.gen.stepline.v1 import query_pb2, query_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import RunRecord
from stepline_ingest.searched import check_exported, check_searched
from stepline_ingest.store.cancel import MARK
from stepline_ingest.store.contract import Setting, Store, StoreError

from .answers import MAX_KEPT_BYTES, answer_to
from .chart import read_chart
from .export import Cursor, ExportQuery, read_export
from .failure import query_failure
from .groups import Groups, groups_of
from .history import HistoryQuery, read_history
from .metrics import read_metrics
from .names import NamesQuery, UnknownMetricsError, unknown_metrics_text
from .own_axis import over, own_axis
from .packing import bytes_of, drawn_over, packed
from .pump import pumped_together
from .request import ChartQuery, chart_query, step_range
from .sql import read_sql

log = logging.getLogger(__name__)

Reply = TypeVar("Reply")
EngineLimits: TypeAlias = "Mapping[str, Setting]"

_NOT_MODIFIED = "not-modified"


_LINES_AT_ONCE = 128
"""Of a chart, that a thread makes before others get their turn."""
_MOST_RUNS = 1_000
"""Whose metrics are listed together."""


class QueryService(query_pb2_grpc.QueryServicer):
    """RUNS is the RunsRepository; EXECUTOR runs what blocks."""

    def __init__(self, store: Store, runs: Any, limits: Limits, executor: Executor) -> None:
        self._store = store
        self._runs = runs
        self._executor = executor
        self._limits = limits
        self._engine_limits = limits.of_a_query()

    async def ListMetrics(
        self, request: query_pb2.ListMetricsRequest, context: Any
    ) -> query_pb2.ListMetricsReply:
        async def found() -> AsyncGenerator[query_pb2.ListMetricsReply, None]:
            named = len(request.run_ids)
            if named > _MOST_RUNS:
                raise invalid(f"{named} runs, {_MOST_RUNS} are allowed: name fewer")
            run_ids = list(dict.fromkeys(request.run_ids)) or [request.run_id]
            check_searched(
                self._limits, prefix=request.prefix, pattern=request.pattern, regex=request.regex
            )
            await self._runs.preload(run_ids)
            runs = [await self._run(run_id) for run_id in run_ids]
            yield await self._blocking(lambda: self._metrics(request, runs))

        (reply,) = [reply async for reply in self._answered(found(), context)]
        return reply

    def _metrics(
        self, request: query_pb2.ListMetricsRequest, runs: Sequence[RunRecord]
    ) -> query_pb2.ListMetricsReply:
        definitions = Definitions(run.config for run in runs)
        query = NamesQuery(
            request.prefix,
            request.pattern,
            request.regex,
            request.limit,
            request.offset,
            () if request.hidden else definitions.hiding(),
        )
        return read_metrics(
            self._store,
            query,
            [run.descent for run in runs],
            self._engine_limits,
            definitions=definitions,
            statistics=not (request.run_ids or request.names_only),
            grouped=request.grouped,
        )

    async def History(
        self, request: query_pb2.HistoryRequest, context: Any
    ) -> AsyncIterator[query_pb2.HistoryChunk]:
        async def chunks() -> AsyncGenerator[query_pb2.HistoryChunk, None]:
            if not request.metric:
                raise invalid(
                    "a history needs the name of a metric: ListMetrics has those of the run"
                )
            query = HistoryQuery(
                request.run_id,
                request.metric,
                request.rank,
                step_range(request),
                request.all_attempts,
            )
            descent = await self._descent(request.run_id)
            ids = await self._ids_of_base(descent)
            read = self._read(
                lambda limits: read_history(self._store, query, descent, limits, ids=ids)
            )
            async with aclosing(read) as found:
                async for chunk in found:
                    yield chunk

        async for chunk in self._answered(chunks(), context):
            yield chunk

    async def _ids_of_base(self, descent: Descent) -> Mapping[int, str]:
        """Of the runs that a fork shows."""
        others = {segment.run for segment in descent.base}
        return await self._runs.run_ids(sorted(others)) if others else {}

    async def Export(
        self, request: query_pb2.ExportRequest, context: Any
    ) -> AsyncIterator[query_pb2.ExportChunk]:
        async def chunks() -> AsyncGenerator[query_pb2.ExportChunk, None]:
            check_exported(self._limits, request.metrics, request.ranks)
            query = ExportQuery(
                request.run_id,
                tuple(request.metrics),
                tuple(request.ranks),
                step_range(request),
                request.all_attempts,
                Cursor.unpack(request.after),
            )
            descent = await self._descent(request.run_id)
            ids = await self._ids_of_base(descent)
            read = self._read(
                lambda limits: read_export(self._store, query, descent, limits, ids=ids)
            )
            async with aclosing(read) as found:
                async for chunk in found:
                    yield chunk

        async for chunk in self._answered(chunks(), context):
            yield chunk

    async def Chart(
        self, request: query_pb2.ChartRequest, context: Any
    ) -> AsyncIterator[query_pb2.ChartLine]:
        async def lines() -> AsyncGenerator[query_pb2.ChartLine, None]:
            query = chart_query(request)
            await self._runs.preload(query.run_ids)
            runs = {run_id: await self._run(run_id) for run_id in query.run_ids}
            asked, axis = request, ""
            if not request.x:
                records = list(runs.values())
                axis = await self._blocking(
                    lambda: own_axis(self._store, query, records, self._engine_limits)
                )
            if axis:
                asked, query = over(request, axis)
            answer = answer_to(asked, runs, self._store.memo)
            if answer is None:
                async with aclosing(self._chart(query, runs, asked.together)) as unnamed:
                    async for line in unnamed:
                        yield drawn_over(line, axis)
                return
            known = answer.matches(_if_none_match(context))
            state = ((_NOT_MODIFIED, "1"),) if known else ()
            await context.send_initial_metadata((("etag", answer.etag), *state))
            if known:
                return
            kept = answer.kept(self._store.memo)
            if kept is not None:
                for line in kept:
                    yield drawn_over(line, axis)
                return
            sent: list[query_pb2.ChartLine] = []
            size = 0
            async with aclosing(self._chart(query, runs, asked.together)) as fresh:
                async for line in fresh:
                    size += sum(bytes_of(one, query) for one in (line, *line.others))
                    if size <= MAX_KEPT_BYTES:
                        sent.append(line)
                    yield drawn_over(line, axis)
            if size <= MAX_KEPT_BYTES:
                answer.keep(self._store.memo, sent, size)

        async for line in self._answered(lines(), context):
            yield line

    async def _chart(
        self, query: ChartQuery, runs: Mapping[str, RunRecord], together: bool
    ) -> AsyncGenerator[query_pb2.ChartLine, None]:
        descents = {run_id: run.descent for run_id, run in runs.items()}
        began = {run_id: run.created_ms for run_id, run in runs.items()}
        groups: Groups | None = None
        if query.group_by:
            # What they have in common may be a large part of their configs.
            groups = await self._blocking(lambda: groups_of(query.group_by, [*runs.values()]))
        read = self._read_together(
            lambda limits: read_chart(
                self._store, query, descents, limits, began=began, groups=groups
            ),
            batch=_LINES_AT_ONCE,
        )
        async with aclosing(read) as ready:
            async for lines in ready:
                for line in packed(lines, query) if together else lines:
                    yield line

    async def Sql(
        self, request: query_pb2.SqlRequest, context: Any
    ) -> AsyncIterator[query_pb2.SqlChunk]:
        chunks = read_sql(
            self._store,
            self._executor,
            request,
            self._engine_limits,
            self._limits.max_query_bytes,
            project=access.project(),
        )
        async for chunk in self._answered(chunks, context):
            yield chunk

    async def _descent(self, run_id: str) -> Descent:
        """How a run came to what it shows; NOT_FOUND, with the nearest ids, when it is not
        there.
        """
        return (await self._run(run_id)).descent

    async def _run(self, run_id: str) -> RunRecord:
        async with self._runs.lock(run_id):
            run: RunRecord = await self._runs.require(run_id)
            return run

    async def _read(
        self, make: Callable[[EngineLimits], Iterator[Reply]]
    ) -> AsyncGenerator[Reply, None]:
        """What MAKE reads under the limits that it is given. When its reader leaves, what it asked
        of the engine ends too.
        """
        async with aclosing(self._read_together(make, batch=1)) as groups:
            async for group in groups:
                for reply in group:
                    yield reply

    async def _read_together(
        self, make: Callable[[EngineLimits], Iterator[Reply]], *, batch: int
    ) -> AsyncGenerator[list[Reply], None]:
        """The same: those that are ready at the same time, up to BATCH."""
        mark = secrets.token_hex(8)
        limits: dict[str, Setting] = {**self._engine_limits, MARK: mark}
        try:
            read = pumped_together(self._executor, lambda: make(limits), batch=batch)
            async with aclosing(read) as groups:
                async for group in groups:
                    yield group
        except UnknownMetricsError as error:
            unknown = error.with_traceback(None)  # else it would keep its own frame
            message = await self._blocking(
                lambda: unknown_metrics_text(self._store, unknown, self._engine_limits)
            )
            raise ServiceError(grpc.StatusCode.NOT_FOUND, message) from error
        except (GeneratorExit, asyncio.CancelledError):
            # Not by the executor, whose threads may all stand in the engine.
            threading.Thread(target=self._cancel, args=(mark,), name="cancel").start()
            raise

    def _cancel(self, mark: str) -> None:
        try:
            self._store.cancel(mark)
        except StoreError as error:
            log.debug("a query that nobody waits for could not be ended: %s", error)

    async def _blocking(self, call: Callable[[], Reply]) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def _answered(
        self, replies: AsyncGenerator[Reply, None], context: Any
    ) -> AsyncIterator[Reply]:
        """REPLIES, with what they raise turned into a status."""
        try:
            async with aclosing(replies) as open_replies:
                async for reply in open_replies:
                    yield reply
        except ServiceError as error:
            await abort(context, error)
        except StoreError as error:
            await abort(context, query_failure(error, self._limits))


def _if_none_match(context: Any) -> str:
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get("if-none-match", ""))
