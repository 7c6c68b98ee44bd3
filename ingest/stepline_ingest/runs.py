"""stepline.v1.Runs: what was started, with which config, and how it ended. Every call may be
repeated."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import grpc

from stepline_ingest import access, run_request
from stepline_ingest.answering import answered
from stepline_ingest.attempts import Attempts
from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.forks import Lineages
from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.lineage_calls import LineageCalls
from stepline_ingest.metrics import AuthFailure, metrics
from stepline_ingest.pace import catch_up
from stepline_ingest.run_record import Attempt, RunRecord
from stepline_ingest.run_request import json_text
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.starts import Starts
from stepline_ingest.writers import Binding

log = logging.getLogger(__name__)


class Lister(Protocol):
    """Answers lists of runs that are more than a page of the newest; catalogue.Listing."""

    def concerns(self, request: runs_pb2.ListRunsRequest) -> bool: ...

    async def answer(self, request: runs_pb2.ListRunsRequest) -> runs_pb2.ListRunsReply: ...


async def _nothing_to_forget(run_id: str) -> None:
    """No streams, no points."""


class RunsService(LineageCalls):
    """Decides; the repository remembers."""

    def __init__(
        self,
        runs: RunsRepository,
        limits: Limits,
        *,
        lineages: Lineages,
        leases: Leases,
        forget: Callable[[str], Awaitable[None]] = _nothing_to_forget,
        listing: Lister | None = None,
    ) -> None:
        """FORGET is told of runs that were deleted, to end their streams."""
        self.attempts = Attempts(runs, leases, limits)
        super().__init__(runs, lineages, self.attempts, leases, limits)
        self._starts = Starts(runs, lineages, leases, limits)
        self._forget = forget
        self._listing = listing

    @answered
    async def CreateRun(self, request: runs_pb2.CreateRunRequest) -> runs_pb2.CreateRunReply:
        start = run_request.start(request, self._limits)
        _check_project(start.project)
        await catch_up(together=True)
        run, attempt = await self._starts.begin(start)
        # Outside the lock: a thousand ranks register together.
        place = run_request.binding(replace(start, run_id=run.run_id), attempt.number, self._limits)
        await self._runs.bind(place, host=start.host, pid=start.pid, created_ms=start.created_ms)
        return runs_pb2.CreateRunReply(attempt=attempt.number, run=to_message(run))

    @answered
    async def UpdateRun(self, request: runs_pb2.UpdateRunRequest) -> runs_pb2.UpdateRunReply:
        config = run_request.json_object("config", request.config_json, self._limits)
        summary = run_request.json_object("summary", request.summary_json, self._limits)
        run_id = run_request.check_run_id(request.run_id)
        replaced = run_request.few_tags("tags", request.tags.tags, self._limits)
        added = run_request.few_tags("add_tags", request.add_tags, self._limits)
        removed = set(run_request.few_tags("remove_tags", request.remove_tags, self._limits))
        async with self._runs.lock(run_id):
            self._runs.refuse_deleted(run_id)
            run = await self._runs.require(run_id)
            changed = run.copy()
            changed.config |= config
            changed.summary |= summary
            if request.HasField("name"):
                run_request.check_text("name", request.name, self._limits)
                changed.name = request.name
            if request.HasField("notes"):
                changed.notes = run_request.check_notes(request.notes, self._limits)
            for field in ("group", "job_type"):
                if request.HasField(field):
                    run_request.check_text(field, getattr(request, field), self._limits)
                    setattr(changed, field, getattr(request, field))
            tags = replaced if request.HasField("tags") else run.tags
            tags = [tag for tag in [*tags, *added] if tag not in removed]
            changed.tags = run_request.check_tags(tags, self._limits)
            await self._starts.save(run, changed)
        if request.preempting:
            await self._attempts.preempting(run_id, request.attempt or run.newest.number)
        return runs_pb2.UpdateRunReply()

    @answered
    async def FinishRun(self, request: runs_pb2.FinishRunRequest) -> runs_pb2.FinishRunReply:
        place = run_request.binding(request, request.attempt, self._limits)
        finished_ms = request.finished_ms if request.finished_ms > 0 else run_request.now_ms()
        async with self._runs.lock(place.run_id):
            await self._known_attempt(place)
        # Outside the lock: a thousand ranks end together.
        await self._attempts.ended(place, run_request.end(request, self._limits), finished_ms)
        return runs_pb2.FinishRunReply()

    @answered
    async def GetRun(self, request: runs_pb2.GetRunRequest) -> runs_pb2.GetRunReply:
        run_id = run_request.check_run_id(request.run_id)
        async with self._runs.lock(run_id):
            return runs_pb2.GetRunReply(run=to_message(await self._runs.require(run_id)))

    @answered
    async def ListRuns(self, request: runs_pb2.ListRunsRequest) -> runs_pb2.ListRunsReply:
        if self._listing is not None and self._listing.concerns(request):
            return await self._listing.answer(request)
        limit = min(request.limit or self._limits.max_listed_runs, self._limits.max_listed_runs)
        runs, total = await self._runs.list(request.project, limit=limit, offset=request.offset)
        reply = runs_pb2.ListRunsReply(total=total)
        for run, texts in runs:
            message = to_message(run)
            message.config_json, message.summary_json = texts
            reply.runs.append(message)
        return reply

    @answered
    async def DeleteRun(self, request: runs_pb2.DeleteRunRequest) -> runs_pb2.DeleteRunReply:
        run_id = run_request.check_run_id(request.run_id)
        async with self._runs.lock(run_id):
            run = await self._runs.require(run_id)
            await self._refuse_forked(run_id)
            await self._runs.delete(run)
        log.info(
            "run %s of project %s was deleted",
            run_id,
            run.project,
            extra={"event": "run_deleted", "run": run_id, "project": run.project},
        )
        metrics.run_deleted()
        await self._forget(run_id)
        return runs_pb2.DeleteRunReply()

    def check(self, place: Binding) -> None:
        """Raises ServiceError when a stream may not go on, as its run was deleted meanwhile."""
        self._runs.refuse_deleted(place.run_id)

    async def bind(self, hello: ingest_pb2.Hello) -> Binding:
        """Checks the place that a stream claims for its writer, and remembers it."""
        place = run_request.binding(hello, hello.attempt, self._limits)
        async with self._runs.lock(place.run_id):
            await self._known_attempt(place)
        await self._runs.bind(place, host="", pid=0, created_ms=run_request.now_ms())
        await self.attempts.heard(place.run_id, place.attempt)
        run = await self._runs.get(place.run_id)
        return replace(place, tenant=run.project) if run is not None else place

    async def _refuse_forked(self, run_id: str) -> None:
        """A run whose points others show is not deleted."""
        forks = await self._runs.forks(run_id)
        if forks or self._starts.is_forked(run_id):
            project, known = access.project(), await self._runs.projects(forks)
            own = [fork for fork in forks if project in (None, known.get(fork))]
            named = ", ".join(own[:5]) + (", .." if len(own) > 5 else "")
            unnamed = "some of other projects" if forks else "one is being made"
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"run {run_id} has forks that show its points ({named or unnamed}): "
                "delete them first",
            )

    async def _known_attempt(self, place: Binding) -> Attempt:
        self._runs.refuse_deleted(place.run_id)
        run = await self._runs.require(place.run_id, remedy="call CreateRun first")
        attempt = run.attempt(place.attempt)
        if attempt is None:
            raise invalid(
                f"run {run.run_id} has the attempts 1 to {run.newest.number}, not {place.attempt}: "
                "use the number that CreateRun gave"
            )
        if place.rank >= attempt.world_size:
            raise invalid(
                f"attempt {place.attempt} of run {run.run_id} has a world of {attempt.world_size}, "
                "so no rank "
                f"{place.rank}: pass the world_size of the job to CreateRun"
            )
        return attempt


def _check_project(wanted: str) -> None:
    """The project is that of the key, whatever the request says."""
    own = access.project()
    if own not in (None, wanted):
        metrics.auth_failed(AuthFailure.PROJECT)
        raise ServiceError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"the API key is for project {own}, not for {wanted}: pass project={own!r}, or use a "
            "key of the other project",
        )


def to_message(run: RunRecord) -> runs_pb2.Run:
    failure = run.newest.failure
    return runs_pb2.Run(
        run_id=run.run_id,
        project=run.project,
        name=run.name,
        state=run.state,
        config_json=json_text(run.config),
        summary_json=json_text(run.summary),
        tags=run.tags,
        group=run.group,
        job_type=run.job_type,
        notes=run.notes,
        attempts=len(run.attempts),
        world_size=run.newest.world_size,
        created_ms=run.created_ms,
        updated_ms=run.updated_ms,
        exit_code=run.exit_code,
        fork_run_id=run.fork_run_id,
        fork_step=run.fork_step if run.fork_run_id else None,
        error_type=failure.error_type if failure else "",
        error_message=failure.error_message if failure else "",
        ran_ms=run.ran_ms,
        running_since_ms=run.newest.created_ms if run.newest.ended_ms is None else None,
        host=run.newest.host,
    )
