"""A blocking iterator, read by a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


async def pumped(
    executor: Executor, make: Callable[[], Iterator[Item]], *, batch: int = 1
) -> AsyncGenerator[Item, None]:
    """The items of make(), BATCH at a time taken in a thread of EXECUTOR.

    Ending early closes the iterator, as soon as the thread that stands in it comes back.
    """
    loop = asyncio.get_running_loop()
    generator = _generator(make)
    taking: asyncio.Future[list[Item]] | None = None
    try:
        while True:
            taking = loop.run_in_executor(executor, lambda: list(islice(generator, batch)))
            # A thread cannot be interrupted, so this task may end before it.
            items = await asyncio.shield(taking)
            for item in items:
                yield item
            if len(items) < batch:
                return
    finally:
        if taking is not None and not taking.done():
            taking.add_done_callback(lambda done: _close_behind(executor, generator, done))
        else:
            await asyncio.shield(loop.run_in_executor(executor, generator.close))


def _generator(make: Callable[[], Iterator[Item]]) -> Generator[Item, None, None]:
    yield from make()


def _close_behind(
    executor: Executor, generator: Generator[Item, None, None], done: asyncio.Future[list[Item]]
) -> None:
    if not done.cancelled():
        done.exception()  # Nobody is left to hear it.
    executor.submit(generator.close)
