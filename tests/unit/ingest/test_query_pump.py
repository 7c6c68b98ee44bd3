"""Promise: an answer that nobody waits for any more ends without a word, also while the service
stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stepline_ingest.fair_threads import FairThreads
from stepline_ingest.query.pump import pumped

PATIENCE = 60


@pytest.mark.parametrize("in_thread", [True, False], ids=["in a thread", "between two items"])
async def test_who_left_before_the_threads_stopped(in_thread: bool) -> None:
    threads = FairThreads(1, "test", tenant=lambda: "")
    entered, may_go = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        entered.set()
        assert may_go.wait(PATIENCE)
        yield 2

    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    answer = pumped(threads, items)
    assert await anext(answer) == 1
    if in_thread:
        waiting = asyncio.ensure_future(anext(answer))
        assert await asyncio.to_thread(entered.wait, PATIENCE)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        threads.shutdown(wait=False)
        may_go.set()
    else:
        threads.shutdown(wait=False)
    await answer.aclose()
    await asyncio.to_thread(threads.shutdown)
    await asyncio.sleep(0)
    assert told == []
