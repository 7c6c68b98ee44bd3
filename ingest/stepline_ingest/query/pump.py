"""A blocking iterator, read by a coroutine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.02
"""Seconds after which a batch goes out as it is."""


async def pumped(
    executor: Executor, make: Callable[[], Iterator[Item]], *, batch: int = 1
) -> AsyncGenerator[Item, None]:
    """The items of make(), up to BATCH at a time taken in a thread of EXECUTOR; fewer when they
    take long.

    Ending early closes the iterator, as soon as the thread that stands in it comes back.
    """
    loop = asyncio.get_running_loop()
    generator = _generator(make)
    taking: asyncio.Future[tuple[list[Item], bool]] | None = None
    try:
        while True:
            taking = loop.run_in_executor(executor, lambda: _take(generator, batch))
            # A thread cannot be interrupted, so this task may end before it.
            items, ended = await asyncio.shield(taking)
            for item in items:
                yield item
            if ended:
                return
    finally:
        if taking is not None and not taking.done():
            taking.add_done_callback(lambda done: _close_behind(executor, generator, done))
        else:
            await asyncio.shield(loop.run_in_executor(executor, generator.close))


def _take(generator: Iterator[Item], batch: int) -> tuple[list[Item], bool]:
    """Items, and whether there are no more."""
    began = time.monotonic()
    items: list[Item] = []
    for item in generator:
        items.append(item)
        if len(items) == batch or time.monotonic() - began > _PATIENCE:
            return items, False
    return items, True


def _generator(make: Callable[[], Iterator[Item]]) -> Generator[Item, None, None]:
    yield from make()


def _close_behind(
    executor: Executor,
    generator: Generator[Item, None, None],
    done: asyncio.Future[tuple[list[Item], bool]],
) -> None:
    if not done.cancelled():
        done.exception()  # Nobody is left to hear it.
    executor.submit(generator.close)
