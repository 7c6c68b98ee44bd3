"""The bytes that all streams share: bounded, in turns, and given back."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from stepline_ingest.budget import Account, Budget, Exhausted
from stepline_ingest.errors import ServiceError
from tests.support.memory_store import MemoryStore
from tests.support.writers import FAST, Process, binding, plain


async def test_who_asks_first_is_served_first() -> None:
    budget = Budget(100)
    account = budget.account()
    await account.acquire(100)
    served: list[int] = []

    async def take(number: int, amount: int) -> None:
        await account.acquire(amount)
        served.append(number)

    # The small one fits sooner, but does not overtake.
    tasks = [asyncio.create_task(take(n, amount)) for n, amount in enumerate((60, 1, 60, 1))]
    await asyncio.sleep(0)
    assert budget.waiting == 4
    account.release(30)
    await asyncio.sleep(0)
    assert served == []
    account.release(30)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert served == [0]
    account.release(100)
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3]


async def test_more_than_all_of_it_is_granted_alone() -> None:
    budget = Budget(10)
    account = budget.account()
    await account.acquire(50)
    later = asyncio.create_task(account.acquire(1))
    await asyncio.sleep(0)
    assert not later.done()
    account.release(50)
    await later
    assert budget.used == 1


@pytest.mark.parametrize("served", [False, True])
async def test_who_gives_up_holds_nothing(served: bool) -> None:
    budget = Budget(10)
    account = budget.account()
    await account.acquire(10)
    waiting = asyncio.create_task(account.acquire(5))
    behind = asyncio.create_task(account.acquire(5))
    await asyncio.sleep(0)
    if served:
        account.release(5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    if not served:
        account.release(5)
    await behind
    assert budget.used == 10


@pytest.mark.parametrize("amounts", [(60,), (60, 5), (5, 60)])
async def test_who_is_hung_up_while_others_give_back_is_in_nobodys_way(
    amounts: tuple[int, ...],
) -> None:
    """Scenario: a connection breaks, and before its streams hear of it a batch is settled."""
    budget = Budget(100)
    other, account = budget.account("other"), budget.account("hung up")
    await other.acquire(100)
    waiting = [asyncio.create_task(account.acquire(amount)) for amount in amounts]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    other.release(10)
    other.release(90)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (budget.used, budget.waiting) == (0, 0)
    await other.acquire(100)


async def test_who_stands_behind_a_hung_up_one_is_served_in_its_place() -> None:
    budget = Budget(1_000, per_tenant=10)
    accounts = [budget.account(name) for name in "abc"]
    for account in accounts:
        await account.acquire(10)
    lines = []
    for account in (accounts[0], accounts[1], accounts[1], accounts[2]):
        lines.append(asyncio.create_task(account.acquire(5)))
        await asyncio.sleep(0)
    lines[1].cancel()
    accounts[1].release(10)
    await asyncio.wait_for(lines[2], 10)
    assert not lines[0].done()
    for task in lines:
        task.cancel()
    await asyncio.gather(*lines, return_exceptions=True)


async def test_who_is_hung_up_when_its_patience_ends_is_in_nobodys_way() -> None:
    budget = Budget(100, patience=0.01)
    account = budget.account()
    await account.acquire(100)
    waiting = [asyncio.create_task(account.acquire(1)) for _ in range(2)]
    await asyncio.sleep(0)
    entries = list(account.line)
    for task in waiting:
        task.cancel()
    for entry in entries:
        account._refuse(entry)
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)
    assert (budget.used, budget.waiting) == (100, 0)


async def test_small_requests_of_others_do_not_overtake_a_large_one() -> None:
    """Scenario: two tenants hold the pool in small pieces and always ask for more; a third one asks
    for a larger piece."""
    budget = Budget(100, per_tenant=50)
    greedy = [budget.account(name) for name in ("one", "two")]
    granted = 0

    async def stream(account: Account) -> None:
        nonlocal granted
        while True:
            await account.acquire(5)
            granted += 1
            await asyncio.sleep(0)  # it is being stored
            account.release(5)

    streams = [asyncio.create_task(stream(account)) for account in greedy for _ in range(20)]
    while budget.used < 100:
        await asyncio.sleep(0)
    asked = asyncio.create_task(budget.account("three").acquire(20))
    await asyncio.sleep(0)
    before = granted
    await asyncio.wait_for(asked, 30)
    assert granted - before < 60, "no more than what was in line before it"
    for task in streams:
        task.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def test_who_has_used_up_its_share_keeps_nobody_waiting() -> None:
    budget = Budget(100, per_tenant=50)
    greedy, other = budget.account("greedy"), budget.account("other")
    await greedy.acquire(50)
    waiting = asyncio.create_task(greedy.acquire(10))
    await asyncio.sleep(0)
    await asyncio.wait_for(other.acquire(50), 30)
    assert not waiting.done()
    greedy.release(50)
    await waiting
    assert budget.used == 60


async def test_the_true_size_is_corrected() -> None:
    budget = Budget(10)
    account = budget.account()
    await account.acquire(4)
    account.adjust(20)
    assert budget.used == 24
    later = asyncio.create_task(account.acquire(5))
    await asyncio.sleep(0)
    assert not later.done()
    account.adjust(-20)
    await later


async def test_a_tenant_cannot_take_the_share_of_another() -> None:
    budget = Budget(100, per_tenant=60)
    loud, quiet = budget.account("loud"), budget.account("quiet")
    await loud.acquire(60)
    waiting = [asyncio.create_task(loud.acquire(20)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.wait_for(quiet.acquire(40), 30)
    assert (budget.used, budget.waiting) == (100, 3)
    loud.release(60)
    await asyncio.gather(*waiting)
    assert budget.used == 100


async def test_tenants_take_turns_at_a_full_pool() -> None:
    budget = Budget(10)
    accounts = [budget.account(name) for name in ("a", "b")]
    await accounts[0].acquire(10)
    served: list[str] = []

    async def take(account: Account) -> None:
        await account.acquire(10)
        served.append(account.tenant)
        await asyncio.sleep(0)
        account.release(10)

    tasks = [asyncio.create_task(take(accounts[0])) for _ in range(3)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(take(accounts[1])) for _ in range(3)]
    await asyncio.sleep(0)
    accounts[0].release(10)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert served == ["a", "b", "a", "b", "a", "b"]
    assert budget.used == 0


async def test_what_cannot_wait_is_refused() -> None:
    budget = Budget(10, max_waiting=5, patience=0.02)
    account = budget.account()
    await account.acquire(10)
    too_late = asyncio.create_task(account.acquire(5))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted):
        await account.acquire(1)  # the line is full
    with pytest.raises(Exhausted):
        await too_late
    assert (budget.used, budget.waiting) == (10, 0)
    account.release(10)
    await account.acquire(1)


async def test_a_batch_without_room_is_refused_before_it_is_decoded() -> None:
    """Guarantee: UNAVAILABLE with a delay, nothing held, and nothing of the writer skipped."""
    store = MemoryStore()
    async with Process(store) as process:
        process.pipeline.budget._max_waiting = 0
        full = process.pipeline.budget.account("other")
        await full.acquire(FAST.max_inflight_bytes)
        stream = await process.open(binding())
        with pytest.raises(ServiceError, match="send again later") as refusal:
            await stream.send(plain(1, 5))
        assert refusal.value.code is grpc.StatusCode.UNAVAILABLE
        assert refusal.value.retry_after is not None
        assert stream.writer is not None
        assert stream.writer.inflight_batches == 0
        full.release(FAST.max_inflight_bytes)
        await stream.send(plain(1, 5))
        await stream.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 5)
