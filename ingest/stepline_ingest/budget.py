"""The bytes that all streams together may hold: received and not yet settled."""

from __future__ import annotations

import asyncio
from collections import deque


class Budget:
    """A counted pool with a queue. Who finds it empty waits in line, so that no stream overtakes
    another.

    A stream asks for one batch at a time and reads no further until it has been served; with one
    place in the queue for each stream, a full pool is shared in turns, whatever the size of the
    batches. Not thread-safe: it lives on the event loop.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        return self._used

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def acquire(self, amount: int) -> None:
        """Takes AMOUNT, after all who asked before. More than the whole pool is granted when
        nothing else is held."""
        if not self._waiting and self._fits(amount):
            self._used += amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (amount, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(amount)  # served and cancelled in the same turn of the loop
            else:
                self._waiting.remove(entry)
                self._serve()
            raise

    def adjust(self, change: int) -> None:
        """Corrects what is held, now that its true size is known. Never waits: the memory is in use
        already."""
        self._used += change
        if change < 0:
            self._serve()

    def release(self, amount: int) -> None:
        self._used -= amount
        self._serve()

    def _fits(self, amount: int) -> bool:
        return self._used == 0 or self._used + amount <= self._total

    def _serve(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if not self._fits(amount):
                return
            self._waiting.popleft()
            if not turn.cancelled():
                self._used += amount
                turn.set_result(None)
