"""Many small calls at the store that happen at the same time become one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stepline_ingest.fair_threads import start_shared
from stepline_ingest.store.errors import StoreError

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Coalescer(Generic[Row]):
    """Rows that arrive while an insert runs go with the next one, so a thousand ranks that start
    together cost a few inserts. A row that cannot be stored fails alone."""

    def __init__(
        self,
        insert: Callable[[Sequence[Row]], Awaitable[None]],
        *,
        max_rows: int = 10_000,
        weight: Callable[[Row], int] = lambda row: 1,
    ) -> None:
        """An insert takes rows that weigh MAX_ROWS together, and one row at least."""
        self._insert = insert
        self._max_rows = max_rows
        self._weight = weight
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, row: Row) -> None:
        """Returns when ROW is stored; raises what the insert raised."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((row, done))
        if self._task is None:
            self._task = start_shared(self._run())
        await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._store(self._take())
        finally:
            self._task = None

    async def _store(self, taken: list[tuple[Row, asyncio.Future[None]]]) -> None:
        error: Exception | None = None
        try:
            await self._insert([row for row, _ in taken])
        except Exception as raised:
            if len(taken) > 1 and _blames_a_row(raised):
                for one in taken:
                    await self._store([one])
                return
            error = raised
        for _, done in taken:
            if done.cancelled():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _take(self) -> list[tuple[Row, asyncio.Future[None]]]:
        count = weight = 0
        for row, _ in self._waiting:
            weight += self._weight(row)
            if count and weight > self._max_rows:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


def _blames_a_row(error: Exception) -> bool:
    """Whether others may be stored: the rows may be of several projects."""
    return error.blames_data if isinstance(error, StoreError) else True


class Lookup(Generic[Key, Value]):
    """Keys that are asked for while a query runs go with the next one. So an answer is never older
    than its question."""

    def __init__(
        self,
        query: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        *,
        max_keys: int = 1_000,
    ) -> None:
        self._query = query
        self._asked: Coalescer[_Question[Key, Value]] = Coalescer(self._ask, max_rows=max_keys)

    async def get(self, key: Key) -> Value | None:
        """None for a key that the query does not know. Raises what the query raised."""
        question = _Question[Key, Value](key)
        await self._asked.add(question)
        return question.answer

    async def _ask(self, questions: Sequence[_Question[Key, Value]]) -> None:
        found = await self._query([question.key for question in questions])
        for question in questions:
            question.answer = found.get(question.key)


@dataclass(slots=True)
class _Question(Generic[Key, Value]):
    key: Key
    answer: Value | None = None
