"""Starts of runs: which run and which attempt one belongs to, and who may begin one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import grpc

from stepline import _core
from stepline_ingest import access, run_request
from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.forks import Lineages, Origin
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.metrics import Refusal
from stepline_ingest.run_record import RUNNING, Attempt, RunRecord
from stepline_ingest.run_request import Start, json_text
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.signs import Key


class Starts:
    """Decides about starts; the repository remembers."""

    def __init__(
        self, runs: RunsRepository, lineages: Lineages, leases: Leases, limits: Limits
    ) -> None:
        self._runs = runs
        self._lineages = lineages
        self._leases = leases
        self._signs = leases.signs
        self._limits = limits
        self._forking: Counter[str] = Counter()
        """Runs of which forks are being made."""

    def is_forked(self, run_id: str) -> bool:
        """A fork of the run is being made at this moment."""
        return bool(self._forking[run_id])

    async def begin(self, start: Start) -> tuple[RunRecord, Attempt]:
        """The run and the attempt that START belongs to; begun, when it is the first of its launch.
        Raises ServiceError, StoreError.
        """
        if start.on_live == "new_run":
            start = await self._aside(start)
        fork = start.fork
        if fork is None or fork.run_id == start.run_id:
            return await self._locked(start, None)
        async with self._runs.lock(start.run_id):
            known = await self._runs.get(start.run_id)
        if known is not None:
            return await self._locked(start, None)
        # Not under the lock of the new run: two runs that are forked from each other would wait
        # for each other for ever.
        with self._kept(fork):
            async with self._runs.lock(fork.run_id):
                self._runs.refuse_deleted(fork.run_id)
                parent = await self._runs.require(
                    fork.run_id, remedy="pass the id of a run that is there as fork_from"
                )
            run = _core.siphash64(start.run_id)
            base = await self._lineages.fork(run, parent, fork.step)
            return await self._locked(start, base)

    @contextmanager
    def _kept(self, fork: Origin) -> Iterator[None]:
        self._forking[fork.run_id] += 1
        try:
            yield
        finally:
            self._forking[fork.run_id] -= 1
            self._forking += Counter()  # drops what is 0

    async def _locked(self, start: Start, base: Descent | None) -> tuple[RunRecord, Attempt]:
        async with self._runs.lock(start.run_id):
            self._runs.refuse_deleted(start.run_id, whosever=True)
            run, attempt = await self._join(start, base)
        if self._begins_anew(start, attempt) and not await self._runs.place_of(start.writer):
            # The launcher has started the rank anew beside the others and hides it.
            place = replace(start, run_id=run.run_id)
            await self._runs.revive(run_request.binding(place, attempt.number, self._limits))
        if attempt.state == RUNNING:
            self._leases.grant(run.run_id, attempt.number, run.project)
        if start.rank not in attempt.ends:
            key = (run.run_id, attempt.number)
            writer = start.writer if await self._is_newest(start, key) else None
            self._signs.began(key, start.rank, world_size=attempt.world_size, writer=writer)
        return run, attempt

    async def _is_newest(self, start: Start, key: Key) -> bool:
        """No writer of its rank has begun after that of START, which may be the uploader of an
        older one that repeats its call."""
        if start.child:
            return False
        known = self._signs.writer(key, start.rank)
        return known is None or (
            known != start.writer and await self._runs.place_of(start.writer) is None
        )

    async def _aside(self, start: Start) -> Start:
        """START as one of a run of its own, when its run lives and is that of another launch. One
        of another project is an id that is taken, whether it lives or not."""
        own = f"{start.run_id[:54]}-{_core.siphash64(start.launch_id) & 0xFFFFFFFF:08x}"
        for run_id in (own, start.run_id):
            async with self._runs.lock(run_id):
                run = await self._runs.get(run_id)
                if run is not None and run.project != start.project:
                    run = None
                joined = run is not None and run.launched(start.launch_id) is not None
                lives = run is not None and self._age(run) is not None
            if joined:
                return replace(start, run_id=run_id)
        return replace(start, run_id=own) if lives else start

    def _age(self, run: RunRecord) -> float | None:
        """Seconds since the last sign of life of who holds RUN; None when nobody does."""
        if run.state != RUNNING:
            return None
        return self._leases.age(run.run_id, run.newest.number)

    async def _join(self, start: Start, base: Descent | None) -> tuple[RunRecord, Attempt]:
        """The attempt that START belongs to; begun, when it is the first of its launch. BASE is
        what a fork begins with. Holds the lock of the run."""
        run = await self._runs.get(start.run_id)
        if run is None:
            if start.resume == "must":
                raise await self._runs.not_found(
                    start.run_id,
                    remedy="pass resume='allow' to start it, or the id of a run that is there",
                )
            if base is None and start.fork is not None:
                raise await self._runs.not_found(
                    start.run_id, remedy="it cannot be forked from itself before it is there"
                )
            attempt = _attempt(start, 1)
            descent = base or Descent(_core.siphash64(start.run_id))
            told = start.fork.step + 1 if start.fork is not None else None
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
                descent=descent.begun(attempt.number, told),
                fork_run_id=start.fork.run_id if start.fork is not None else "",
                fork_step=start.fork.step if start.fork is not None else 0,
            )
            await self._runs.create(run)
            return run, attempt
        if start.project != run.project:
            raise await self._elsewhere(start, run)
        launched = run.launched(start.launch_id)
        joined = await self._joined(start, run, launched) if launched is not None else None
        if joined is None:
            # Its own run is there for who comes back, whatever its first start had to find.
            if start.resume == "never" and launched is None:
                raise ServiceError(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"run {run.run_id} exists already; pass resume='allow' to continue it, or "
                    "another run_id",
                )
            told = await self._told(start, run)
            self._refuse_live(start, run)
            older = run.newest.number
            joined = _attempt(start, older + 1)
            run = await self._runs.begin(run, joined, told)
            self._leases.supersede(run.run_id, older)
            return await self.save(run, _overlaid(run, start)), joined
        if start.world_size > joined.world_size:
            joined = joined.copy()
            joined.world_size = start.world_size
            run = await self._runs.change_attempt(run, joined)
        said = _overlaid(run, start) if start.rank == 0 else _filled(run, start)
        return await self.save(run, said), joined

    async def _joined(self, start: Start, run: RunRecord, launched: Attempt) -> Attempt | None:
        """The attempt of its launch that START belongs to, LAUNCHED being the newest one. None when
        the launcher has started the job anew and hides it: then it is the next attempt, so that
        nothing is mixed. A rank that comes back while others live goes on beside them.
        """
        several = sum(attempt.launch_id == start.launch_id for attempt in run.attempts) > 1
        anew = self._begins_anew(start, launched)
        if not anew and launched.state == RUNNING and not several:
            return launched
        place = await self._runs.place_of(start.writer)
        if place is not None and place.run_id == run.run_id:
            return run.attempt(place.attempt)
        if start.child:
            return launched
        number = launched.number
        lives = self._signs.any_living((run.run_id, number), launched.ends)
        if lives or (lives is None and self._leases.age(run.run_id, number) is not None):
            return launched
        if not anew and launched.state != RUNNING:
            # It may have been silent, with its host. Who comes late for the first time has not.
            anew = await self._runs.has_begun(run.run_id, number, start.rank)
        return None if anew else launched

    @staticmethod
    def _begins_anew(start: Start, attempt: Attempt) -> bool:
        """The rank has ended in ATTEMPT, and this is not one of its other processes."""
        return start.rank in attempt.ends and not start.child

    async def _told(self, start: Start, run: RunRecord) -> int | None:
        """Where the next attempt of RUN is told to begin, if START says so."""
        fork = start.fork
        if fork is None:
            return None
        if fork.run_id == run.run_id:
            await self._lineages.check_rewind(run, fork.step)
            return fork.step + 1
        if (fork.run_id, fork.step) != (run.fork_run_id, run.fork_step):
            was = (
                f"was forked from {run.fork_run_id}@{run.fork_step}"
                if run.fork_run_id
                else "was not forked"
            )
            raise invalid(
                f"run {run.run_id} is there already and {was}, so it cannot be forked from {fork}: "
                "pass another run_id for the fork, or leave fork_from out to resume"
            )
        # A job that starts again with the arguments that made the fork resumes it.
        return None

    def _refuse_live(self, start: Start, run: RunRecord) -> None:
        age = self._age(run)
        if age is None or start.on_live == "take_over":
            return
        holder = run.newest
        who = f"{holder.host or 'an unknown host'}, process {holder.pid or 'unknown'}"
        raise ServiceError(
            grpc.StatusCode.ABORTED,
            f"run {run.run_id} is alive: attempt {holder.number} on {who} gave its last sign of "
            f"life {age:.0f} s ago; end it first (once it is silent for {self._leases.seconds:.0f} "
            "s it counts as crashed), or pass on_live='take_over' to begin the next attempt all "
            "the same, or on_live='new_run' for a run of its own",
            refusal=Refusal.LIVE,
        )

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

    async def save(self, run: RunRecord, changed: RunRecord) -> RunRecord:
        """Stores CHANGED when it differs. Returns what is stored then."""
        if changed == run and run.outcome == run.stored_outcome:
            return run
        for field in ("config", "summary"):
            value = getattr(changed, field)
            # What an older version stored may be more than is taken now.
            if value != getattr(run, field):
                run_request.check_size(field, json_text(value), self._limits)
        if changed.tags != run.tags:
            run_request.check_tags(changed.tags, self._limits)
        changed.updated_ms = max(run_request.now_ms(), run.updated_ms + 1)
        await self._runs.change_config(run, changed)
        await self._runs.save(changed)
        return changed


def _attempt(start: Start, number: int) -> Attempt:
    return Attempt(
        number=number,
        launch_id=start.launch_id,
        world_size=start.world_size,
        created_ms=start.created_ms,
        host=start.host,
        pid=start.pid,
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
