"""stepline.v1.Runs: what was started, with which config, and how it ended. Every call may be
repeated."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import grpc

from stepline_ingest import access, run_request
from stepline_ingest.errors import ServiceError, abort, invalid, later
from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2, runs_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import AuthFailure, metrics
from stepline_ingest.run_record import Attempt, RunRecord
from stepline_ingest.run_request import Start, json_text
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.store.errors import StoreError
from stepline_ingest.writers import Binding

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Reply = TypeVar("Reply")


def answered(
    method: Callable[[Any, Request], Awaitable[Reply]],
) -> Callable[[Any, Request, Any], Awaitable[Reply]]:
    """Turns a method that raises into a method of a gRPC servicer."""

    @functools.wraps(method)
    async def call(self: Any, request: Request, context: Any) -> Reply:
        try:
            return await method(self, request)
        except ServiceError as error:
            await abort(context, error)
        except StoreError as error:
            log.warning("%s: the store fails: %s", method.__name__, error)
            await abort(context, later(f"the store fails: {error}; try again later"))

    return call


class Lister(Protocol):
    """Answers lists of runs that are more than a page of the newest; catalogue.Listing."""

    def concerns(self, request: runs_pb2.ListRunsRequest) -> bool: ...

    async def answer(self, request: runs_pb2.ListRunsRequest) -> runs_pb2.ListRunsReply: ...


async def _nothing_to_forget(run_id: str) -> None:
    """No streams, no points."""


class RunsService(runs_pb2_grpc.RunsServicer):
    """Decides; the repository remembers."""

    def __init__(
        self,
        runs: RunsRepository,
        limits: Limits,
        *,
        forget: Callable[[str], Awaitable[None]] = _nothing_to_forget,
        listing: Lister | None = None,
    ) -> None:
        """FORGET is told of runs that were deleted, to end their streams."""
        self._runs = runs
        self._limits = limits
        self._forget = forget
        self._listing = listing

    @answered
    async def CreateRun(self, request: runs_pb2.CreateRunRequest) -> runs_pb2.CreateRunReply:
        start = run_request.start(request, self._limits)
        _check_project(start.project)
        async with self._runs.lock(start.run_id):
            self._runs.refuse_deleted(start.run_id)
            run, attempt = await self._join(start)
        # Outside the lock: a thousand ranks register together.
        place = run_request.binding(start, attempt.number, self._limits)
        await self._runs.bind(place, host=start.host, pid=start.pid, created_ms=start.created_ms)
        return runs_pb2.CreateRunReply(attempt=attempt.number, run=to_message(run))

    @answered
    async def UpdateRun(self, request: runs_pb2.UpdateRunRequest) -> runs_pb2.UpdateRunReply:
        config = run_request.json_object("config", request.config_json, self._limits)
        summary = run_request.json_object("summary", request.summary_json, self._limits)
        run_id = run_request.check_run_id(request.run_id)
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
            tags = request.tags.tags if request.HasField("tags") else run.tags
            tags = [tag for tag in [*tags, *request.add_tags] if tag not in request.remove_tags]
            changed.tags = run_request.check_tags(tags, self._limits)
            await self._save(run, changed)
        return runs_pb2.UpdateRunReply()

    @answered
    async def FinishRun(self, request: runs_pb2.FinishRunRequest) -> runs_pb2.FinishRunReply:
        place = run_request.binding(request, request.attempt, self._limits)
        finished_ms = request.finished_ms if request.finished_ms > 0 else run_request.now_ms()
        async with self._runs.lock(place.run_id):
            await self._known_attempt(place)
        # Outside the lock: a thousand ranks end together.
        await self._runs.finish(place, exit_code=request.exit_code, finished_ms=finished_ms)
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
        return runs_pb2.ListRunsReply(runs=[to_message(run) for run in runs], total=total)

    @answered
    async def DeleteRun(self, request: runs_pb2.DeleteRunRequest) -> runs_pb2.DeleteRunReply:
        run_id = run_request.check_run_id(request.run_id)
        async with self._runs.lock(run_id):
            run = await self._runs.require(run_id)
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
        run = await self._runs.get(place.run_id)
        return replace(place, tenant=run.project) if run is not None else place

    async def _join(self, start: Start) -> tuple[RunRecord, Attempt]:
        """The attempt that START belongs to; begun, when it is the first of its launch. Holds the
        lock of the run."""
        run = await self._runs.get(start.run_id)
        if run is None:
            if start.resume == "must":
                raise await self._runs.not_found(
                    start.run_id,
                    remedy="pass resume='allow' to start it, or the id of a run that is there",
                )
            attempt = _attempt(start, 1)
            run = RunRecord(
                run_id=start.run_id,
                project=start.project,
                name=start.name,
                config=start.config,
                summary={},
                tags=start.tags,
                group=start.group,
                job_type=start.job_type,
                notes="",
                created_ms=start.created_ms,
                updated_ms=run_request.now_ms(),
                attempts=[attempt],
            )
            await self._runs.create(run)
            return run, attempt
        if start.project != run.project:
            raise await self._elsewhere(start, run)
        joined = run.launched(start.launch_id)
        if joined is None:
            if start.resume == "never":
                raise ServiceError(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"run {run.run_id} exists already; pass resume='allow' to continue it, or "
                    "another run_id",
                )
            joined = _attempt(start, run.newest.number + 1)
            run = await self._runs.begin(run, joined)
            return await self._save(run, _overlaid(run, start)), joined
        if start.world_size > joined.world_size:
            run = await self._runs.grow(run, joined, start.world_size)
        said = _overlaid(run, start) if start.rank == 0 else _filled(run, start)
        return await self._save(run, said), joined

    async def _elsewhere(self, start: Start, run: RunRecord) -> ServiceError:
        """The id of START is that of RUN, of another project."""
        if access.project() is None:
            where = f" in project {run.project}, not in {start.project}; pass that project"
        elif start.resume == "must":
            return await self._runs.not_found(
                start.run_id, remedy="pass the id of a run of this project"
            )
        else:
            # A caller who is bound to a project learns that the id is taken, which it could find
            # out anyway, and nothing more.
            where = " elsewhere; leave run_id out"
        return ServiceError(
            grpc.StatusCode.ALREADY_EXISTS,
            f"run {run.run_id} exists already{where}, or pass another run_id",
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

    async def _save(self, run: RunRecord, changed: RunRecord) -> RunRecord:
        """Stores CHANGED when it differs. Returns what is stored then."""
        if changed == run and run.outcome == run.stored_outcome:
            return run
        for field, value in (("config", changed.config), ("summary", changed.summary)):
            run_request.check_size(field, json_text(value), self._limits)
        changed.updated_ms = max(run_request.now_ms(), run.updated_ms + 1)
        await self._runs.change_config(run, changed)
        await self._runs.save(changed)
        return changed


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


def _attempt(start: Start, number: int) -> Attempt:
    return Attempt(
        number=number,
        launch_id=start.launch_id,
        world_size=start.world_size,
        created_ms=start.created_ms,
    )


def _overlaid(run: RunRecord, start: Start) -> RunRecord:
    """What the rank that begins an attempt says, and rank 0, counts."""
    changed = run.copy()
    changed.config |= start.config
    changed.name = start.name or run.name
    changed.group = start.group or run.group
    changed.job_type = start.job_type or run.job_type
    changed.tags = list(dict.fromkeys([*run.tags, *start.tags]))
    return changed


def _filled(run: RunRecord, start: Start) -> RunRecord:
    """The other ranks only add what is not there yet, so that their order does not matter."""
    changed = run.copy()
    changed.config |= {key: value for key, value in start.config.items() if key not in run.config}
    changed.name = run.name or start.name
    changed.group = run.group or start.group
    changed.job_type = run.job_type or start.job_type
    changed.tags = list(dict.fromkeys([*run.tags, *start.tags]))
    return changed


def to_message(run: RunRecord) -> runs_pb2.Run:
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
    )
