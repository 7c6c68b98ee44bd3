"""Rejections are recorded beside the INSERTs of points, so that nobody else waits for them.

Invariants
- What lies before a rejection of its writer is stored when it is handed over. Nothing of its writer
  that lies behind it is handed to the store until it is recorded.
- They are recorded in their order, one call at a time; what comes meanwhile is recorded together.
- One that is refused, or cannot be recorded, takes along what lies behind it of its writer, and
  nothing of others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from stepline_ingest.group import PointsStore
from stepline_ingest.items import Reject
from stepline_ingest.limits import Limits
from stepline_ingest.persistence import Persistence, Poisoned, Undecided, Unstored


class Recorder:
    """Lives on the event loop."""

    def __init__(
        self,
        store: PointsStore,
        *,
        limits: Limits,
        executor: Executor,
        now: Callable[[], float],
        recorded: Callable[[Sequence[Reject]], None],
        lost: Callable[[Sequence[Reject], str], None],
        gave_up: Callable[[Sequence[Reject], str], None],
    ) -> None:
        """RECORDED and LOST hear what became of what was handed over to `add`. GAVE_UP: it stays
        unknown, and clients need not wait."""
        self._store = store
        self._persistence = Persistence(executor, limits)
        self._most = limits.group_bytes
        self._now = now
        self._recorded = recorded
        self._lost = lost
        self._gave_up = gave_up
        self._waiting: deque[Reject] = deque()
        self._recording: list[Reject] = []
        self._one_by_one = 0
        """How many of those that wait are recorded each in a call of its own."""
        self._finishing = False
        self._wake = asyncio.Event()

    @property
    def unrecorded(self) -> list[Reject]:
        """Handed over to `add`, and not settled yet."""
        return [*self._recording, *self._waiting]

    def add(self, rejects: Sequence[Reject]) -> None:
        self._waiting += rejects
        self._wake.set()
        if self._persistence.down is not None:
            self._gave_up(rejects, self._persistence.down)

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

    def _take(self) -> list[Reject]:
        taken = [self._waiting.popleft()]
        if self._one_by_one:
            self._one_by_one -= 1
            return taken
        held = taken[0].held
        while self._waiting and held + self._waiting[0].held <= self._most:
            taken.append(self._waiting.popleft())
            held += taken[-1].held
        return taken

    async def _record(self, rejects: list[Reject]) -> None:
        self._recording = rejects
        received = int(self._now())
        try:
            await self._persistence.until_known(
                lambda: self._store.insert_rejects(rejects, received),
                lambda reason: self._gave_up(self.unrecorded, reason),
            )
        except Poisoned as error:
            if len(rejects) > 1:
                self._recording = []
                self._waiting.extendleft(reversed(rejects))
                self._one_by_one += len(rejects)
            else:
                self._lose(rejects, f"a rejected batch cannot be recorded: {error}")
        except Unstored as failure:
            self._one_by_one = 0
            if isinstance(failure, Undecided):
                for reject in rejects:
                    reject.writer.doubt()
            self._lose(rejects, str(failure))
        else:
            self._recording = []
            self._recorded(rejects)

    def _lose(self, rejects: Sequence[Reject], reason: str) -> None:
        """With those behind them of the same writers."""
        writers = {reject.writer for reject in rejects}
        behind = [reject for reject in self._waiting if reject.writer in writers]
        self._waiting = deque(r for r in self._waiting if r.writer not in writers)
        self._recording = []
        self._lost([*rejects, *behind], reason)
