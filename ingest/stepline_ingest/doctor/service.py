"""stepline.v1.Audit: digests for `stepline verify`, and the doctor against a running service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Any, TypeVar

import grpc

from stepline_ingest.errors import ServiceError, abort, invalid, later
from stepline_ingest.gen.stepline.v1 import audit_pb2, audit_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.query.pump import pumped
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.store.contract import Store, StoreError
from stepline_ingest.writers import Binding

from .audit import Report, Step, examine
from .digests import Span, read_digests, read_writers, unknown_writer
from .finding import Finding

log = logging.getLogger(__name__)

Reply = TypeVar("Reply")


class AuditService(audit_pb2_grpc.AuditServicer):
    """RUNS is the RunsRepository; EXECUTOR runs what blocks."""

    def __init__(self, store: Store, runs: Any, limits: Limits, executor: Executor) -> None:
        self._store = store
        self._runs = runs
        self._tables = SqlRunTables(store)
        self._executor = executor
        self._auditing = False
        self._engine_limits = limits.of_a_query()

    async def ListWriters(
        self, request: audit_pb2.ListWritersRequest, context: Any
    ) -> audit_pb2.ListWritersReply:
        try:
            run = await self._run(request.run_id)
            writers = await self._blocking(
                lambda: read_writers(self._store, run, self._engine_limits)
            )
            return audit_pb2.ListWritersReply(writers=writers)
        except (ServiceError, StoreError) as error:
            await abort(context, _failure(error))

    async def WriterDigests(
        self, request: audit_pb2.WriterDigestsRequest, context: Any
    ) -> audit_pb2.WriterDigestsReply:
        try:
            span = Span.of(request)
            place = await self._place(request.run_id, request.writer)
            return await self._blocking(
                lambda: read_digests(self._store, place, span, self._engine_limits)
            )
        except (ServiceError, StoreError) as error:
            await abort(context, _failure(error))

    async def Doctor(
        self, request: audit_pb2.DoctorRequest, context: Any
    ) -> AsyncIterator[audit_pb2.DoctorEvent]:
        if self._auditing:
            await abort(
                context,
                ServiceError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "another audit runs: wait for it",
                    retry_after=10.0,
                    refusal=Refusal.OVERLOADED,
                ),
            )
        self._auditing = True
        try:
            events = pumped(self._executor, lambda: examine(self._store))
            async with aclosing(events) as open_events:
                async for event in open_events:
                    yield _message(event)
        except StoreError as error:
            await abort(context, _failure(error))
        finally:
            self._auditing = False

    async def _run(self, run_id: str) -> int:
        """The number of a run that is there."""
        from stepline import _core

        async with self._runs.lock(run_id):
            await self._runs.require(run_id)
        return _core.siphash64(run_id)

    async def _place(self, run_id: str, writer: bytes) -> Binding:
        if len(writer) != 16:
            raise invalid(
                f"a writer id has 16 bytes, not {len(writer)}: ListWriters has those of the run"
            )
        run = await self._run(run_id)
        found = await self._blocking(lambda: self._tables.find_writers([writer]))
        if not found or found[0].run != run:
            raise unknown_writer(writer, run_id)
        return found[0]

    async def _blocking(self, call: Callable[[], Reply]) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _failure(error: ServiceError | StoreError) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    log.warning("an audit failed at the store: %s", error)
    if error.code in (159, 241):  # too long, too much memory
        return ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"the answer takes more than a request may take ({error}): ask for fewer sequences",
            refusal=Refusal.QUERY_LIMIT,
        )
    return later(f"the store fails: {error}; try again later")


def _message(event: Step | Finding | Report) -> audit_pb2.DoctorEvent:
    if isinstance(event, Step):
        return audit_pb2.DoctorEvent(
            step=audit_pb2.DoctorStep(what=event.what, done=event.done, total=event.total)
        )
    if isinstance(event, Finding):
        return audit_pb2.DoctorEvent(
            finding=audit_pb2.DoctorFinding(
                kind=event.kind.value,
                message=event.message,
                remedy=event.remedy,
                run_id=event.run,
                attempt=event.attempt,
                rank=event.rank,
                writer=event.writer,
                first_seq=event.first_seq,
                last_seq=event.last_seq,
            )
        )
    return audit_pb2.DoctorEvent(
        report=audit_pb2.DoctorReport(
            points=event.points,
            runs=event.runs,
            writers=event.writers,
            rejected=event.rejected,
            expired=event.expired,
        )
    )
