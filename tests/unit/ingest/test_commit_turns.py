"""Who has much queued waits for its own; the others do not wait for it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from stepline_ingest.items import Points, Reject
from stepline_ingest.turns import FairQueue
from stepline_ingest.writers import Binding, Writer
from tests.support.memory_store import MemoryStore
from tests.support.writers import FAST, Process, binding, plain

BIG = 5_000


def points(place: Binding, rows: int, seq: int = 1) -> Points:
    return Points(
        writer=Writer(place),
        sink=cast(Any, None),
        account=cast(Any, None),
        first_seq=seq,
        last_seq=seq,
        nbytes=rows,
        held=rows,
        batch=cast(Any, SimpleNamespace(points=rows)),
        new_metrics=[],
        names=cast(Any, None),
    )


def rejected(place: Binding, seq: int) -> Reject:
    return Reject(
        writer=Writer(place),
        sink=cast(Any, None),
        account=cast(Any, None),
        first_seq=seq,
        last_seq=seq,
        nbytes=1,
        held=1,
        reason="",
    )


def taken(queue: FairQueue) -> list[tuple[int, int]]:
    return [(item.writer.binding.rank, item.first_seq) for item in queue.clear()]


def test_small_writers_do_not_wait_for_a_large_one() -> None:
    queue = FairQueue(quantum=1_000)
    flood, others = binding(0), [binding(rank) for rank in range(1, 101)]
    for seq in range(1, 21):
        queue.push(points(flood, BIG, seq))
    for other in others:
        queue.push(points(other, 10))
    assert queue.rows == 20 * BIG + 1_000
    order = taken(queue)
    assert [rank for rank, _ in order[:100]] == list(range(1, 101))
    assert [seq for rank, seq in order if rank == 0] == list(range(1, 21))
    assert (len(queue), queue.rows) == (0, 0)


def test_equals_share_equally() -> None:
    queue = FairQueue(quantum=1_000)
    for seq in range(1, 6):
        for rank in range(3):
            queue.push(points(binding_of(rank), 1_000, seq))
    assert taken(queue) == [(rank, seq) for seq in range(1, 6) for rank in range(3)]


def test_a_tenant_gains_nothing_by_many_writers() -> None:
    queue = FairQueue(quantum=1_000)
    for rank in range(100):
        queue.push(points(replace(binding(rank), tenant="many"), 1_000))
    one = replace(binding(1_000), tenant="one")
    for seq in range(1, 11):
        queue.push(points(one, 1_000, seq))
    assert [rank for rank, _ in taken(queue)[:20]].count(1_000) == 10


def test_a_rejection_keeps_its_place() -> None:
    queue = FairQueue()
    place = binding(0)
    for item in (points(place, 50, 1), rejected(place, 2), points(place, 50, 3)):
        queue.push(item)
    assert taken(queue) == [(0, 1), (0, 2), (0, 3)]


def test_rejections_cost_their_sender_turns() -> None:
    """Scenario: each time that something is taken, a tenant has sent more that is rejected.
    Guarantee: another one's points still come in their turn."""
    queue = FairQueue(quantum=1_000)
    garbage, honest = (replace(binding(n), tenant=f"tenant {n}") for n in range(2))
    for seq in range(1, 21):
        queue.push(rejected(garbage, seq))
    for seq in range(1, 11):
        queue.push(points(honest, 500, seq))
    order = []
    for seq in range(21, 41):
        order.append(queue.pop().writer.binding.rank)
        queue.push(rejected(garbage, seq))
    assert order.count(1) == 10


def test_what_is_put_aside_keeps_its_order_and_its_place_in_the_count() -> None:
    queue = FairQueue(quantum=1_000)
    first, other = binding(0), binding(1)
    for seq in (1, 2):
        queue.push(points(first, 10, seq))
    queue.push(points(other, 10, 1))
    queue.put_aside()
    queue.push(rejected(first, 3))
    assert (len(queue), queue.rows, queue.ready) == (4, 10, True)
    assert queue.pop().writer.binding.rank == 1
    assert (len(queue), queue.rows, queue.ready) == (3, 0, False)
    queue.restore(other.writer)  # of whom nothing was put aside
    assert not queue.ready
    queue.restore(first.writer)
    queue.push(points(first, 10, 4))
    assert (len(queue), queue.rows, queue.ready) == (4, 30, True)
    assert taken(queue) == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_nothing_is_left_of_what_was_put_aside() -> None:
    queue = FairQueue()
    for rank in range(3):
        queue.push(points(binding(rank), 10))
        queue.put_aside()
    assert not queue.ready
    assert sorted(taken(queue)) == [(0, 1), (1, 1), (2, 1)]
    assert (len(queue), queue.rows, queue.ready) == (0, 0, False)


async def test_a_flood_keeps_nobody_waiting() -> None:
    """Scenario: one writer fills its window while an INSERT runs, then another one sends a point.
    Guarantee: that point is in the first group that is closed afterwards."""
    gate = threading.Event()
    store = MemoryStore(before=[lambda: gate.wait(30) or None])
    limits = replace(FAST, group_rows=500, group_target_rows=500, group_ahead_rows=500)
    async with Process(store, limits) as process:
        process.committer._queue = FairQueue(quantum=200)
        flood, small = await process.open(binding(0)), await process.open(binding(1))
        for first in range(1, 3_000, 100):
            await flood.send(plain(first, first + 99))
        await small.send(plain(1, 1))
        gate.set()
        await small.settled()
        # One that was being stored, one that was built ahead of its turn, and its own.
        assert len(store.inserts) <= 4
        await flood.settled()
    assert len(store.inserts) > 10
    assert flood.writer is not None
    store.assert_exactly_once(flood.writer.binding.writer, 3_000)


async def test_the_time_of_an_insert_counts_as_waiting_for_company() -> None:
    """Scenario: a point arrives while an INSERT runs for longer than a group may wait."""
    gate = threading.Event()
    store = MemoryStore(before=[lambda: gate.wait(30) or None])
    patient = replace(FAST, min_linger=3600.0, max_linger=3600.0, group_target_rows=500)
    async with Process(store, patient) as process:
        first, second = await process.open(binding(0)), await process.open(binding(1))
        await first.send(plain(1, 500))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await second.send(plain(1, 1))
        process.committer._first_arrival -= 3600.0
        gate.set()
        await asyncio.wait_for(second.settled(), 60)


_PLACES = {rank: binding(rank) for rank in range(3)}


def binding_of(rank: int) -> Binding:
    return _PLACES[rank]
