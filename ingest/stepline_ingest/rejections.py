"""Rejections are recorded beside the INSERTs of points, so that nobody else waits for them.

Invariants
- One call is under way at a time, and they keep their order.
- All that lies before a rejection of its writer is stored when it is handed over; the committer
  takes nothing that lies behind it until it is settled.
"""

from __future__ import annotations

import asyncio
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
        now: Callable[[], float],
        recorded: Callable[[Sequence[Reject]], None],
        lost: Callable[[Sequence[Reject], str], None],
        gave_up: Callable[[str], None],
    ) -> None:
        """RECORDED and LOST hear what became of what was handed over to `begin`. GAVE_UP: it stays
        unknown, and clients need not wait."""
        self._store = store
        self._persistence = persistence
        self._now = now
        self._recorded = recorded
        self._lost = lost
        self._gave_up = gave_up
        self._task: asyncio.Task[None] | None = None
        self.under_way: Sequence[Reject] = ()

    async def begin(self, rejects: Sequence[Reject]) -> None:
        """Returns when the call for REJECTS is under way."""
        await self.idle()
        self.under_way = rejects
        self._task = asyncio.create_task(self._run(rejects), name="recorder")

    async def record(self, rejects: Sequence[Reject]) -> None:
        """Returns when REJECTS are recorded. Raises Unstored."""
        await self.idle()
        await self._insert(rejects)

    async def idle(self) -> None:
        """Returns when nothing is under way."""
        if self._task is not None:
            await self._task

    async def cancel(self) -> None:
        """What is under way may still take effect, but nobody hears of it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, rejects: Sequence[Reject]) -> None:
        try:
            await self._insert(rejects)
        except Unstored as failure:
            self.under_way = ()
            self._lost(rejects, str(failure))
        else:
            self.under_way = ()
            self._recorded(rejects)

    async def _insert(self, rejects: Sequence[Reject]) -> None:
        received = int(self._now())
        try:
            await self._persistence.until_known(
                lambda: self._store.insert_rejects(rejects, received), self._gave_up
            )
        except Poisoned as error:
            raise Unstored(f"a rejected batch cannot be recorded: {error}") from error
