"""The bytes that all streams share: bounded, in turns, and given back."""

from __future__ import annotations

import asyncio

import pytest

from stepline_ingest.budget import Budget


async def test_who_asks_first_is_served_first() -> None:
    budget = Budget(100)
    await budget.acquire(100)
    served: list[int] = []

    async def take(number: int, amount: int) -> None:
        await budget.acquire(amount)
        served.append(number)

    # The small one fits sooner, but does not overtake.
    tasks = [asyncio.create_task(take(n, amount)) for n, amount in enumerate((60, 1, 60, 1))]
    await asyncio.sleep(0)
    assert budget.waiting == 4
    budget.release(30)
    await asyncio.sleep(0)
    assert served == []
    budget.release(30)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert served == [0]
    budget.release(100)
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3]


async def test_more_than_all_of_it_is_granted_alone() -> None:
    budget = Budget(10)
    await budget.acquire(50)
    later = asyncio.create_task(budget.acquire(1))
    await asyncio.sleep(0)
    assert not later.done()
    budget.release(50)
    await later
    assert budget.used == 1


@pytest.mark.parametrize("served", [False, True])
async def test_who_gives_up_holds_nothing(served: bool) -> None:
    budget = Budget(10)
    await budget.acquire(10)
    waiting = asyncio.create_task(budget.acquire(5))
    behind = asyncio.create_task(budget.acquire(5))
    await asyncio.sleep(0)
    if served:
        budget.release(5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    if not served:
        budget.release(5)
    await behind
    assert budget.used == 10


async def test_the_true_size_is_corrected() -> None:
    budget = Budget(10)
    await budget.acquire(4)
    budget.adjust(20)
    assert budget.used == 24
    later = asyncio.create_task(budget.acquire(5))
    await asyncio.sleep(0)
    assert not later.done()
    budget.adjust(-20)
    await later
