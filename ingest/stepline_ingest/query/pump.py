"""A blocking iterator, read by a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE = 0.02
"""Seconds after which items go out, however few there are."""


async def pumped(
    executor: Executor, make: Callable[[], Iterator[Item]]
) -> AsyncGenerator[Item, None]:
    """The items of make(), taken in threads of EXECUTOR one by one; else as `pumped_together`."""
    async with contextlib.aclosing(pumped_together(executor, make, batch=1)) as groups:
        async for group in groups:
            for item in group:
                yield item


async def pumped_together(
    executor: Executor, make: Callable[[], Iterator[Item]], *, batch: int
) -> AsyncGenerator[list[Item], None]:
    """The items of make(), taken in threads of EXECUTOR up to BATCH at a time: those that are
    there. None waits long for the next one, whatever that takes.

    Ending early closes the iterator, as soon as the thread that stands in it comes back.
    """
    loop = asyncio.get_running_loop()
    generator = _generator(make)
    items: deque[Item] = deque()
    news = asyncio.Event()
    left = threading.Event()

    def soon() -> None:
        loop.call_later(_PATIENCE, news.set)

    def take() -> bool:
        """Whether there are no more."""
        for number, item in enumerate(generator, 1):
            items.append(item)
            if number == batch or left.is_set():
                return False
            if len(items) == 1:
                # The loop is closed when nobody waits any more.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(soon)
        return True

    taking: asyncio.Future[bool] | None = None
    try:
        while True:
            taking = loop.run_in_executor(executor, take)
            taking.add_done_callback(lambda _: news.set())
            over = False
            while not over:
                await news.wait()
                news.clear()
                over = taking.done()
                while items:
                    ready = [items.popleft() for _ in range(len(items))]
                    yield ready
            if taking.result():
                return
    finally:
        left.set()
        if taking is not None and not taking.done():
            # A thread cannot be interrupted, so this task may end before it.
            taking.add_done_callback(lambda done: _close_behind(executor, generator, done))
        else:
            # After shutdown no thread is left for it, and the process ends.
            with contextlib.suppress(RuntimeError):
                await asyncio.shield(loop.run_in_executor(executor, generator.close))


def _generator(make: Callable[[], Iterator[Item]]) -> Generator[Item, None, None]:
    yield from make()


def _close_behind(
    executor: Executor,
    generator: Generator[Item, None, None],
    done: asyncio.Future[bool],
) -> None:
    if not done.cancelled():
        done.exception()  # Nobody is left to hear it.
    # After shutdown no thread is left for it, and the process ends.
    with contextlib.suppress(RuntimeError):
        executor.submit(generator.close)
