"""How attempts fare: signs of life, ends, and what is made of silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.run_record import RUNNING, Attempt, End
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.signs import Key
from stepline_ingest.store.errors import StoreError
from stepline_ingest.writers import Binding

log = logging.getLogger(__name__)

_SIGNS_AT_ONCE = 1_000
"""Signs of life that are taken before others get their turn."""
_LOOKS = 6
"""In the time after which silence counts as a crash."""


class Attempts:
    """Keeps the states of attempts, and so of runs, true."""

    def __init__(self, runs: RunsRepository, leases: Leases, limits: Limits) -> None:
        self._runs = runs
        self._leases = leases
        self._signs = leases.signs
        self._limits = limits

    async def begin(self) -> None:
        """Once, before anything else: whatever runs according to the tables has a period of
        grace."""
        self._leases.wait(self._limits.grace_seconds)
        for run_id, project, number in await self._runs.running():
            self._leases.grant(run_id, number, project)

    async def heard(self, run_id: str, number: int) -> None:
        """A stream of the attempt begins: if it counts as lost, it lives again."""
        async with self._runs.lock(run_id):
            run = await self._runs.get(run_id)
            attempt = run.attempt(number) if run is not None else None
            if run is None or attempt is None:
                return
            project, newest = run.project, run.newest.number
            lost = attempt.lost
        if lost:
            await self._runs.amend(run_id, number, _found)
            log.info(
                "attempt %d of run %s speaks again",
                number,
                run_id,
                extra={"event": "attempt_revived", "run": run_id, "attempt": number},
            )
        if attempt.state == RUNNING:
            self._leases.grant(run_id, number, project)
            if number != newest:
                self._leases.supersede(run_id, number)

    async def beat(
        self, signs: Iterator[tuple[Key, Sequence[int]]], project: str | None
    ) -> list[Key]:
        """Heartbeats, for some ranks of attempts, of a caller who may see PROJECT, or everything.
        Returns those that are superseded, or of deleted runs."""
        superseded: list[Key] = []
        while some := list(islice(signs, _SIGNS_AT_ONCE)):
            superseded += await self._beat_some(some, project)
            await asyncio.sleep(0)  # whoever else waits
        return superseded

    async def _beat_some(
        self, signs: Sequence[tuple[Key, Sequence[int]]], project: str | None
    ) -> list[Key]:
        anew: list[tuple[Key, Sequence[int]]] = []
        superseded: list[Key] = []
        for key, ranks in signs:
            verdict = self._leases.renew(*key, project)
            # How large its world is has to be known as well.
            if verdict is None or key not in self._signs:
                anew.append((key, ranks))
                continue
            self._signs.beat(key, ranks)
            if verdict:
                superseded.append(key)
        # After a start of the service a host with many runs names all of them for the first time.
        # Who names runs that are not there, or are not its own, has them looked up together.
        known = await self._runs.projects({key[0] for key, _ in anew})
        own = {run_id for run_id, of in known.items() if project in (None, of)}
        await self._runs.preload(sorted(own))
        for key, ranks in anew:
            if key[0] not in own or await self._beat_anew(key, ranks, project):
                superseded.append(key)
        return superseded

    async def _beat_anew(self, key: Key, ranks: Sequence[int], project: str | None) -> bool:
        """Of an attempt that counts as ended, or was not heard of here yet."""
        run_id, number = key
        async with self._runs.lock(run_id):
            run = await self._runs.get(run_id)
        if run is None or project not in (None, run.project):
            return True
        attempt = run.attempt(number)
        if attempt is not None:
            self._signs.beat(key, ranks, world_size=attempt.world_size)
        await self.heard(run_id, number)
        self._leases.renew(run_id, number, project)
        return number < run.newest.number

    async def ended(self, place: Binding, end: End, finished_ms: int) -> None:
        """A rank has ended. That it vanished is no news once it has said something, or has come
        back as another process."""
        if end.vanished:
            newest = self._signs.writer((place.run_id, place.attempt), place.rank)
            if newest is None:
                # This process did not see it begin.
                older = await self._runs.begun_elsewhere(place)
            else:
                older = newest != place.writer
            if older:
                return
            async with self._runs.lock(place.run_id):
                run = await self._runs.get(place.run_id)
                attempt = run.attempt(place.attempt) if run is not None else None
                if attempt is None or place.rank in attempt.ends:
                    return
        await self._runs.finish(place, end, finished_ms=finished_ms)
        self._signs.ended((place.run_id, place.attempt), place.rank)
        await self._settle(place.run_id, place.attempt)

    async def preempting(self, run_id: str, number: int) -> None:
        """The machine of the attempt is wanted back."""

        def marked(attempt: Attempt) -> None:
            attempt.preempting = True

        await self._runs.amend(run_id, number, marked)

    async def look(self, streaming: Callable[[], Iterable[Key]] = tuple) -> None:
        """Marks what was silent for too long. Raises StoreError."""
        for run_id, number in self._leases.expired(streaming):
            await self._runs.amend(run_id, number, _silent)
            self._leases.end(run_id, number)
            log.warning(
                "attempt %d of run %s gave no sign of life for %.0f s: it counts as crashed",
                number,
                run_id,
                self._leases.seconds,
                extra={"event": "attempt_lost", "run": run_id, "attempt": number},
            )

    async def keep_looking(self, streaming: Callable[[], Iterable[Key]]) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._leases.seconds / _LOOKS)
            try:
                await self.look(streaming)
            except StoreError as error:
                log.warning("lost attempts could not be marked, trying again: %s", error)

    async def _settle(self, run_id: str, number: int) -> None:
        """Whoever has ended holds no lease."""
        async with self._runs.lock(run_id):
            run = await self._runs.get(run_id)
            attempt = run.attempt(number) if run is not None else None
        if attempt is None or attempt.state != RUNNING:
            self._leases.end(run_id, number)


def _found(attempt: Attempt) -> None:
    attempt.lost = False


def _silent(attempt: Attempt) -> None:
    if attempt.state == RUNNING:
        attempt.lost = True
