"""Rejections are recorded beside the INSERTs of points, so that nobody else waits for them.

Invariants
- What lies before a rejection of its writer is stored when it is handed over. Nothing of its writer
  that lies behind it is handed to the store until it is recorded.
- They are recorded in their order, one call at a time; what comes meanwhile is recorded together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from stepline_ingest.group import PointsStore
from stepline_ingest.items import Reject
from stepline_ingest.persistence import Persistence, Poisoned, Unstored


class Recorder:
    """Lives on the event loop."""

    def __init__(
        self,
        store: PointsStore,
        persistence: Persistence,
        *,
        most: int,
        now: Callable[[], float],
        recorded: Callable[[Sequence[Reject]], None],
        lost: Callable[[Sequence[Reject], str], None],
        gave_up: Callable[[str], None],
    ) -> None:
        """MOST: bytes of one call. RECORDED and LOST hear what became of what was handed over to
        `add`. GAVE_UP: it stays unknown, and clients need not wait."""
        self._store = store
        self._persistence = persistence
        self._most = most
        self._now = now
        self._recorded = recorded
        self._lost = lost
        self._gave_up = gave_up
        self._waiting: deque[Reject] = deque()
        self._recording: list[Reject] = []
        self._finishing = False
        self._wake = asyncio.Event()

    @property
    def unrecorded(self) -> list[Reject]:
        """Handed over to `add`, and not settled yet."""
        return [*self._recording, *self._waiting]

    def add(self, rejects: Sequence[Reject]) -> None:
        self._waiting += rejects
        self._wake.set()

    def finish(self) -> None:
        """No more will come."""
        self._finishing = True
        self._wake.set()

    async def run(self) -> None:
        """Until `finish`, and all is settled."""
        while self._waiting or not self._finishing:
            if self._waiting:
                await self._record(self._take())
            else:
                self._wake.clear()
                await self._wake.wait()

    async def record(self, rejects: Sequence[Reject], gave_up: Callable[[str], None]) -> None:
        """Returns when REJECTS, of writers of which nothing is unrecorded, are recorded. Raises
        Unstored."""
        received = int(self._now())
        try:
            await self._persistence.until_known(
                lambda: self._store.insert_rejects(rejects, received), gave_up
            )
        except Poisoned as error:
            raise Unstored(f"a rejected batch cannot be recorded: {error}") from error

    def _take(self) -> list[Reject]:
        taken = [self._waiting.popleft()]
        held = taken[0].held
        while self._waiting and held + self._waiting[0].held <= self._most:
            taken.append(self._waiting.popleft())
            held += taken[-1].held
        return taken

    async def _record(self, rejects: list[Reject]) -> None:
        self._recording = rejects
        try:
            await self.record(rejects, self._gave_up)
        except Unstored as failure:
            self._recording = []
            self._lost(rejects, str(failure))
        else:
            self._recording = []
            self._recorded(rejects)
