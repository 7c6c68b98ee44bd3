"""Batches that the store refuses, with everything that is in one block with them: put aside, and
nobody else loses anything."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import grpc
import pytest

from stepline import _core
from stepline_ingest.metrics import Refusal
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.staging import StagedBlock
from tests.support.memory_store import MemoryStore, read_block, refused, unknown
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    columnar,
    plain,
    refuse_after,
    wait,
)


async def test_a_poison_batch_blocks_nobody() -> None:
    store = MemoryStore()
    async with Process(store) as process:
        streams = [await process.open(binding(rank)) for rank in range(4)]
        assert streams[2].writer is not None
        culprit = streams[2].writer.binding.writer
        store.poison = lambda writer, seq: writer == culprit and seq == 4
        for stream in streams:
            await stream.send(columnar(1, 3), plain(4, 6), plain(7, 9))
        for stream in streams:
            await stream.settled()
            assert stream.error is None
            assert stream.writer is not None
            assert stream.writer.committed == 9
            store.assert_exactly_once(stream.writer.binding.writer, 9)
    assert [(w, first, last) for w, first, last, _ in store.rejects] == [(culprit, 4, 6)]
    assert streams[2].rejections[0][:2] == (4, 6)
    assert store.seqs(culprit) == [1, 2, 3, 7, 8, 9]


@pytest.mark.parametrize("meanwhile", ["the next group is large", "the service stops"])
async def test_poison_of_one_takes_nothing_of_its_neighbours(meanwhile: str) -> None:
    """Scenario: a group is stored one by one, and before the turn of a neighbour more of it is in
    the next group. Guarantee: what was trimmed there stays part of this one."""
    storing, recording = threading.Event(), threading.Event()
    store = MemoryStore(before=[lambda: wait(storing)], before_rejects=[lambda: wait(recording)])
    ahead = 1 if meanwhile == "the next group is large" else FAST.group_ahead_rows
    async with Process(store, replace(FAST, group_ahead_rows=ahead)) as process:
        busy, poisoned, neighbour = [
            await process.open(binding(rank, f"run-{rank}")) for rank in range(3)
        ]
        assert poisoned.writer is not None
        assert neighbour.writer is not None
        culprit = poisoned.writer.binding.writer
        store.poison = lambda writer, seq: writer == culprit
        await busy.send(plain(1, 1))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await poisoned.send(plain(1, 3))
        await neighbour.send(plain(1, 3))
        storing.set()
        while len(store.before_rejects):  # the neighbour's turn comes when this one is recorded
            await asyncio.sleep(0.001)
        await neighbour.send(plain(4, 6))
        if meanwhile == "the service stops":
            stopping = asyncio.create_task(process.committer.stop())
        while process.committer.queued_batches:
            await asyncio.sleep(0.001)
        recording.set()
        await neighbour.settled()
        if meanwhile == "the service stops":
            await stopping
    assert neighbour.error is None
    store.assert_exactly_once(neighbour.writer.binding.writer, 6)
    assert store.seqs(neighbour.writer.binding.writer) == [1, 2, 3, 4, 5, 6]
    assert [writer for writer, *_ in store.rejects] == [culprit]


async def test_poison_is_put_aside_before_the_group_behind_it_is_stored() -> None:
    """The mark passes over a rejected range only together with what lies below."""
    gate = threading.Event()
    store = MemoryStore(before=[lambda: wait(gate)])
    async with Process(store, replace(FAST, group_ahead_rows=1)) as process:
        stream = await process.open(binding())
        store.poison = lambda writer, seq: seq == 4
        await stream.send(columnar(1, 3), plain(4, 6))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await stream.send(plain(7, 9))
        while process.committer.queued_batches:
            await asyncio.sleep(0.001)
        gate.set()
        await stream.settled()
    assert [kind for kind in store.order if kind != "names"] == ["points", "reject", "points"]
    assert store.seqs(stream.writer.binding.writer) == [1, 2, 3, 7, 8, 9]  # type: ignore[union-attr]


@pytest.mark.parametrize("outcome", ["never answered", "unknown"])
async def test_all_of_a_group_are_sent_away_while_a_poisoned_one_cannot_be_put_aside(
    outcome: str,
) -> None:
    answer = threading.Event()
    store = MemoryStore(
        before_rejects=[lambda: wait(answer)] if outcome == "never answered" else [],
        after_rejects=[] if outcome == "never answered" else [unknown] * 10_000,
    )
    async with Process(store, replace(IMPATIENT, retry_max=0.1)) as process:
        poisoned, neighbour = await process.open(binding(0)), await process.open(binding(1))
        assert poisoned.writer is not None
        culprit = poisoned.writer.binding.writer
        store.poison = lambda writer, seq: writer == culprit
        await poisoned.send(plain(1, 3))
        await neighbour.send(plain(1, 3))
        while poisoned.error is None or neighbour.error is None:
            await asyncio.sleep(0.001)
        for stream in (poisoned, neighbour):
            assert stream.error is not None
            assert stream.error.code is grpc.StatusCode.UNAVAILABLE
        store.after_rejects.clear()
        answer.set()
        await poisoned.settled()
        await neighbour.settled()
    assert neighbour.writer is not None
    store.assert_exactly_once(culprit, 3)
    store.assert_exactly_once(neighbour.writer.binding.writer, 3)


async def test_the_blocks_of_what_cannot_be_put_aside_are_given_back() -> None:
    store = MemoryStore()
    async with Process(store, IMPATIENT) as process:
        places = [binding(rank) for rank in range(2)]
        store.poison = lambda writer, seq: writer == places[0].writer and seq == 1
        store.before_rejects = [refused] * 10_000
        for epoch in range(1, 4):
            streams = [await process.open(place, epoch) for place in places]
            for stream in streams:
                assert stream.writer is not None
                first = stream.writer.committed + 1
                await stream.send(plain(first, first + 2))
            for stream in streams:
                await stream.settled()
                assert stream.error is not None
            assert store.open_blocks == 0
        store.before_rejects.clear()


async def test_a_batch_that_makes_the_builder_panic_is_put_aside() -> None:
    class Panicking(MemoryStore):
        def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
            block = super().stage_points(write)
            if any(row.seq == 4 for row in read_block(b"".join(block.chunks()))):
                block.close()
                raise _core.PanicException("index out of bounds")
            return block

    store = Panicking()
    async with Process(store) as process:
        streams = [await process.open(binding(rank)) for rank in range(2)]
        await streams[0].send(plain(1, 3), plain(4, 6), plain(7, 9))
        await streams[1].send(plain(1, 3))
        for stream, last in zip(streams, (9, 3), strict=True):
            await stream.settled()
            assert stream.error is None
            assert stream.writer is not None
            store.assert_exactly_once(stream.writer.binding.writer, last)
    assert [(first, last) for _, first, last, _ in store.rejects] == [(4, 6)]


def cut() -> None:
    """What a store says that saw a part of the bytes only."""
    raise StoreError("Code: 33. CANNOT_READ_ALL_DATA", blames_data=True)


async def test_bytes_that_were_cut_once_on_their_way_are_no_poison() -> None:
    store = MemoryStore(before=[cut], before_names=[cut])
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 9))
        await stream.settled()
    assert not store.rejects
    assert stream.writer is not None
    store.assert_exactly_once(stream.writer.binding.writer, 9)


async def test_bytes_that_were_cut_on_their_way_are_no_poison_behind_an_unknown_outcome() -> None:
    """Scenario: an INSERT takes effect, its answer is lost, and of the repetitions the store sees a
    part only. Guarantee: it is repeated, so that nothing is stored twice or put aside."""
    store = MemoryStore(before=[None, cut, cut, cut], after=[unknown])
    async with Process(store) as process:
        streams = [await process.open(binding(rank)) for rank in range(2)]
        for stream in streams:
            await stream.send(plain(1, 9))
        for stream in streams:
            await stream.settled()
    assert not store.rejects
    for stream in streams:
        assert stream.writer is not None
        store.assert_exactly_once(stream.writer.binding.writer, 9)


async def test_poison_behind_an_unknown_outcome_is_put_aside_when_it_comes_again() -> None:
    store = MemoryStore(before=[unknown], poison=lambda writer, seq: seq == 4)
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 3), plain(4, 6), plain(7, 9))
        await stream.settled()
        assert stream.error is not None
        assert not store.rejects
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        await again.send(plain(1, 3), plain(4, 6), plain(7, 9))
        await again.settled()
    assert [(first, last) for _, first, last, _ in store.rejects] == [(4, 6)]
    store.assert_exactly_once(stream.writer.binding.writer, 9)


@pytest.mark.parametrize("batches", [1, 2])
async def test_what_is_stored_is_not_rejected_however_often_its_repetition_is_cut(
    batches: int,
) -> None:
    """Scenario: an INSERT takes effect, its answer is lost, and until the patience ends the store
    sees only parts of the repetitions. Guarantee: the mark is read from the store then."""
    cuts = [True]

    def cut_while_it_lasts() -> None:
        time.sleep(0.01)
        if cuts[0]:
            cut()

    store = MemoryStore(before=[None, *[cut_while_it_lasts] * 1_000], after=[unknown])
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(*[plain(3 * n + 1, 3 * n + 3) for n in range(batches)])
        await stream.settled()
        cuts[0] = False
        assert stream.error is not None
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        mark = again.writer.committed
        assert mark == await store.mark(again.writer.binding) >= 3
        await again.send(plain(mark + 1, 9))
        await again.settled()
    assert not store.rejects
    store.assert_exactly_once(stream.writer.binding.writer, 9)


async def test_poison_is_found_also_by_a_store_that_takes_longer_than_the_patience() -> None:
    store = MemoryStore(before=[lambda: time.sleep(0.15)] * 1_000)
    async with Process(store, replace(FAST, store_patience=0.1)) as process:
        poisoned, neighbour = await process.open(binding(0)), await process.open(binding(1))
        assert poisoned.writer is not None
        assert neighbour.writer is not None
        culprit = poisoned.writer.binding.writer
        store.poison = lambda writer, seq: writer == culprit
        await poisoned.send(plain(1, 3))
        await neighbour.send(plain(1, 3))
        await poisoned.settled()
        await neighbour.settled()
    store.assert_exactly_once(culprit, 3)
    store.assert_exactly_once(neighbour.writer.binding.writer, 3)


async def test_a_batch_whose_names_are_refused_does_not_leave_points_without_names() -> None:
    """Guarantee: its stream ends, so that the next one brings the names again; nobody else's does,
    and what others have in the same group is stored."""
    store = MemoryStore(before_names=[cut] * 4)  # twice for the group, twice for its first batch
    async with Process(store) as process:
        stream, other = [await process.open(binding(rank, f"run-{rank}")) for rank in range(2)]
        await stream.send(plain(1, 3), plain(4, 6))
        await other.send(plain(1, 3))
        await stream.settled()
        await other.settled()
        assert stream.error is not None
        assert "names" in stream.error.message
        assert other.error is None
        assert [(first, last) for _, first, last, _ in store.rejects] == [(1, 3)]
        assert stream.writer is not None
        assert other.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 3
        await again.send(plain(4, 6))
        await again.settled()
        store.assert_exactly_once(stream.writer.binding.writer, 6)
        store.assert_exactly_once(other.writer.binding.writer, 3)


async def test_poison_that_cannot_be_recorded_takes_nothing_of_its_neighbours() -> None:
    store = MemoryStore()
    async with Process(store) as process:
        poisoned, neighbour = binding(0), binding(1)
        store.poison = lambda writer, seq: writer == poisoned.writer
        store.unrecordable = lambda writer: writer == poisoned.writer
        beside = await process.open(neighbour)
        for epoch in range(1, 6):
            stream = await process.open(poisoned, epoch)
            await stream.send(plain(1, 3))
            await beside.send(plain(3 * epoch - 2, 3 * epoch))
            await stream.settled()
            await beside.settled()
            assert stream.error is not None
            assert beside.error is None
    store.assert_exactly_once(neighbour.writer, 15)
    assert not store.seqs(poisoned.writer)


@pytest.mark.parametrize("block", ["built", "being built"])
async def test_refused_names_take_the_next_group_along(block: str) -> None:
    """Scenario: the names of a batch are refused while the next group, closed already, holds more
    of its writer and batches of others. Guarantees: no point is stored without its name; others
    are not blamed for it; all get a stream, and are stored then."""
    refusing, building = threading.Event(), threading.Event()
    store = MemoryStore(before_names=[lambda: refuse_after(refusing)] * 2)
    stage = store.stage_points

    def stage_slowly(write: Callable[[int], int]) -> StagedBlock:
        staged = stage(write)
        if block == "being built" and staged.rows == 12:
            wait(building)
        return staged

    store.stage_points = stage_slowly  # type: ignore[method-assign]
    async with Process(store, replace(FAST, group_ahead_rows=12)) as process:
        stream, other = [await process.open(binding(rank, f"run-{rank}")) for rank in range(2)]
        assert stream.writer is not None
        assert other.writer is not None
        await stream.send(plain(1, 3))
        while process.committer._storing is None:
            await asyncio.sleep(0.001)
        await stream.send(plain(4, 6))
        await other.send(plain(1, 3))
        while process.committer._ahead is None:
            await asyncio.sleep(0.001)
        await stream.send(plain(7, 9))
        while block == "built" and not process.committer._built.is_set():
            await asyncio.sleep(0.001)
        refusing.set()
        await stream.settled()
        await other.settled()
        assert stream.error is not None
        assert "names" in stream.error.message
        assert other.error is not None
        assert other.error.refusal is Refusal.STORE_FAILS
        assert not store.points
        again = [await process.open(it.writer.binding, epoch=2) for it in (stream, other)]
        assert [it.writer.committed for it in again if it.writer] == [3, 0]
        building.set()
        await again[0].send(plain(4, 6), plain(7, 9))
        await again[1].send(plain(1, 3))
        for it in again:
            await it.settled()
            assert it.error is None
    assert store.open_blocks == 0
    store.assert_exactly_once(stream.writer.binding.writer, 9)
    store.assert_exactly_once(other.writer.binding.writer, 3)
