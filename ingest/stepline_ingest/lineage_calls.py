"""The part of stepline.v1.Runs that is about attempts: whether they live, and what runs show of
them."""

from __future__ import annotations

from stepline_ingest import access, run_request
from stepline_ingest.answering import answered
from stepline_ingest.attempts import Attempts
from stepline_ingest.errors import invalid
from stepline_ingest.forks import Lineages
from stepline_ingest.gen.stepline.v1 import runs_pb2, runs_pb2_grpc
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import STEP_MIN, Descent
from stepline_ingest.run_record import FINISHED, RUNNING, Attempt, End, Missing, RunRecord
from stepline_ingest.runs_repository import RunsRepository

_NAMED_RANKS = 100
"""Of those that are in trouble, in one answer."""


class LineageCalls(runs_pb2_grpc.RunsServicer):
    """Decides; the repository remembers."""

    def __init__(
        self,
        runs: RunsRepository,
        lineages: Lineages,
        attempts: Attempts,
        leases: Leases,
        limits: Limits,
    ) -> None:
        self._runs = runs
        self._lineages = lineages
        self._attempts = attempts
        self._leases = leases
        self._signs = leases.signs
        self._limits = limits

    @answered
    async def Heartbeat(self, request: runs_pb2.HeartbeatRequest) -> runs_pb2.HeartbeatReply:
        signs = run_request.signs(request, self._limits)
        superseded = await self._attempts.beat(signs, access.project())
        return runs_pb2.HeartbeatReply(
            next_ms=int(self._limits.heartbeat_seconds * 1_000),
            superseded=[
                runs_pb2.SignOfLife(run_id=run_id, attempt=attempt)
                for run_id, attempt in superseded
            ],
        )

    @answered
    async def GetLineage(self, request: runs_pb2.GetLineageRequest) -> runs_pb2.GetLineageReply:
        run = await self._run(request.run_id)
        now_ms = run_request.now_ms()
        return runs_pb2.GetLineageReply(
            segments=await self._segments(run),
            attempts=[self._attempt(run, attempt, now_ms) for attempt in run.attempts],
            missing=[_missing(one) for one in await self._runs.missing(run.run_id)],
        )

    @answered
    async def BringBack(self, request: runs_pb2.BringBackRequest) -> runs_pb2.BringBackReply:
        run_id = run_request.check_run_id(request.run_id)
        step = request.step if request.HasField("step") else STEP_MIN
        async with self._runs.lock(run_id):
            self._runs.refuse_deleted(run_id)
            run = await self._runs.require(run_id)
            if run.attempt(request.attempt) is None:
                raise invalid(
                    f"run {run_id} has the attempts 1 to {run.newest.number}, not "
                    f"{request.attempt}: `stepline attempts {run_id}` lists them"
                )
            # Twice the same is once.
            if not _ends_with(run.descent, request.attempt, step):
                descent = run.descent.brought_back(request.attempt, step)
                if len(descent.layers) > self._limits.max_layers:
                    raise invalid(
                        f"run {run_id} was forked, resumed and brought back too often: what it "
                        f"shows has more than {self._limits.max_layers} layers; fork it instead"
                    )
                run = await self._runs.redescend(run, descent)
        return runs_pb2.BringBackReply(segments=await self._segments(run))

    async def _run(self, run_id: str) -> RunRecord:
        checked = run_request.check_run_id(run_id)
        async with self._runs.lock(checked):
            return await self._runs.require(checked)

    async def _segments(self, run: RunRecord) -> list[runs_pb2.Segment]:
        shown = await self._lineages.shown(run)
        others = {s.run for s in shown} - {run.descent.run}
        ids = {run.descent.run: run.run_id}
        if others:
            ids |= await self._runs.run_ids(sorted(others))
        return [
            runs_pb2.Segment(
                run_id=ids.get(s.run, ""),
                attempt=s.attempt or 0,
                first_step=s.from_step,
                last_step=s.to_step - 1,
            )
            for s in shown
        ]

    def _attempt(self, run: RunRecord, attempt: Attempt, now_ms: int) -> runs_pb2.Attempt:
        age = self._leases.age(run.run_id, attempt.number)
        failure = attempt.failure
        told = {la.attempt: la.told for la in run.descent.layers if la.begins}
        troubled, count = self._troubled(run, attempt, now_ms)
        return runs_pb2.Attempt(
            attempt=attempt.number,
            state=attempt.state,
            launch_id=attempt.launch_id,
            world_size=attempt.world_size,
            created_ms=attempt.created_ms,
            ended_ms=attempt.ended_ms,
            exit_code=attempt.exit_code,
            error_type=failure.error_type if failure else "",
            error_message=failure.error_message if failure else "",
            host=attempt.host,
            pid=attempt.pid,
            begin_step=told.get(attempt.number),
            seen_ms=None if age is None else now_ms - int(age * 1_000),
            ran_ms=attempt.ran_ms or 0,
            living=self._signs.living((run.run_id, attempt.number), attempt.ends),
            troubled=troubled,
            troubled_ranks=count,
        )

    def _troubled(
        self, run: RunRecord, attempt: Attempt, now_ms: int
    ) -> tuple[list[runs_pb2.Rank], int]:
        """The ranks of ATTEMPT that ended badly, and those that are silent while others live: the
        first ones, and how many there are."""
        key = (run.run_id, attempt.number)
        ended = sorted(rank for rank, end in attempt.ends.items() if end.state != FINISHED)
        silent: list[tuple[int, float | None]] = []
        count = 0
        if attempt.state == RUNNING or self._signs.any_living(key, attempt.ends):
            silent, count = self._signs.silent(
                key, attempt.world_size, attempt.ends, at_most=_NAMED_RANKS
            )
        named = [_ended(rank, attempt.ends[rank]) for rank in ended[:_NAMED_RANKS]]
        for rank, age in silent:
            seen_ms = None if age is None else now_ms - int(age * 1_000)
            named.append(runs_pb2.Rank(rank=rank, state="silent", seen_ms=seen_ms))
        named.sort(key=lambda told: told.rank)
        return named[:_NAMED_RANKS], len(ended) + count


def _ended(rank: int, end: End) -> runs_pb2.Rank:
    return runs_pb2.Rank(
        rank=rank,
        state=end.state,
        exit_code=None if end.vanished else end.exit_code,
        error_type=end.error_type,
        error_message=end.error_message,
    )


def _ends_with(descent: Descent, attempt: int, step: int) -> bool:
    """The newest thing that became of DESCENT is that ATTEMPT was brought back from STEP on."""
    undone = descent
    while undone.layers and not undone.layers[-1].begins and undone.layers[-1].attempt:
        undone = Descent(undone.run, undone.layers[:-1])
    if not undone.layers or undone.layers[-1].attempt:
        return False
    before = Descent(undone.run, undone.layers[:-1])
    return attempt in before.attempts and before.brought_back(attempt, step) == descent


def _missing(one: Missing) -> runs_pb2.Missing:
    return runs_pb2.Missing(
        attempt=one.attempt,
        rank=one.rank,
        # Rows of older versions may say that nothing was lost, and less.
        count=max(0, one.count),
        reason=one.reason,
        time_ms=one.time_ms,
    )
