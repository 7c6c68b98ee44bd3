"""Many small inserts that happen at the same time become one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Coalescer(Generic[Row]):
    """Rows that arrive while an insert runs go with the next one, so a thousand ranks that start
    together cost a few inserts."""

    def __init__(
        self, insert: Callable[[Sequence[Row]], Awaitable[None]], *, max_rows: int = 10_000
    ) -> None:
        self._insert = insert
        self._max_rows = max_rows
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, row: Row) -> None:
        """Returns when ROW is stored; raises what the insert raised."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((row, done))
        if self._task is None:
            self._task = loop.create_task(self._run())
        await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = (
                    self._waiting[: self._max_rows],
                    self._waiting[self._max_rows :],
                )
                error: Exception | None = None
                try:
                    await self._insert([row for row, _ in taken])
                except Exception as raised:
                    error = raised
                for _, done in taken:
                    if done.cancelled():
                        continue
                    if error is None:
                        done.set_result(None)
                    else:
                        done.set_exception(error)
        finally:
            self._task = None
