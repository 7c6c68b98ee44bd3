"""Batches that can never be stored: recorded in their place, told, and in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from itertools import groupby

import pytest

from stepline_ingest.rejections import Recorder
from stepline_ingest.store.errors import StoreError
from tests.support.memory_store import MemoryStore, refused, unknown
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    oversize,
    plain,
    refuse_after,
    wait,
)


async def test_a_rejection_is_recorded_between_what_lies_around_it() -> None:
    store = MemoryStore()
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 3), oversize(4), plain(5, 7))
        await stream.settled()
    assert [kind for kind in store.order if kind != "names"] == ["points", "reject", "points"]
    assert "cut it" in stream.rejections[0][2]


async def test_rejections_of_many_are_recorded_together() -> None:
    """Behind the points of their group, and before what their writers sent after them."""
    gate = threading.Event()
    store = MemoryStore(before=[lambda: wait(gate)])
    async with Process(store) as process:
        first = await process.open(binding(9))
        await first.send(plain(1, 1))
        while not store.inserts:
            await asyncio.sleep(0.001)
        streams = [await process.open(binding(rank)) for rank in range(4)]
        for stream in streams:
            await stream.send(plain(1, 3), *(oversize(seq) for seq in (4, 5)))
        await streams[0].send(plain(6, 9))
        gate.set()
        for stream in (first, *streams):
            await stream.settled()
    assert len(store.rejects) == 8
    assert store.order.count("reject") < 8
    for stream, last in zip(streams, (9, 5, 5, 5), strict=True):
        assert stream.writer is not None
        store.assert_exactly_once(stream.writer.binding.writer, last)


async def test_others_do_not_wait_for_a_rejection_and_its_own_writer_does() -> None:
    gate = threading.Event()
    store = MemoryStore(before_rejects=[lambda: wait(gate)])
    async with Process(store) as process:
        rejected, other = await process.open(binding(0)), await process.open(binding(1))
        await rejected.send(plain(1, 3), oversize(4))
        while not process.committer.recording:
            await asyncio.sleep(0.001)
        await other.send(plain(1, 5))
        await other.settled()
        await rejected.send(oversize(5), plain(6, 9))
        await asyncio.sleep(0.02)
        assert store.order.count("points") == 2
        assert not store.rejects
        gate.set()
        await rejected.settled()
    for stream, last in ((rejected, 9), (other, 5)):
        assert stream.writer is not None
        store.assert_exactly_once(stream.writer.binding.writer, last)


async def test_a_rejection_that_cannot_be_recorded_takes_what_lies_behind_it_along() -> None:
    """Guarantee: what was being stored of others meanwhile is not touched."""
    recording, storing = threading.Event(), threading.Event()
    store = MemoryStore(
        before=[None, lambda: wait(storing)], before_rejects=[lambda: refuse_after(recording)] * 2
    )
    async with Process(store) as process:
        rejected, other = await process.open(binding(0)), await process.open(binding(1))
        await rejected.send(plain(1, 3), oversize(4))
        while not process.committer.recording:
            await asyncio.sleep(0.001)
        await other.send(plain(1, 5))
        while len(store.inserts) < 2:
            await asyncio.sleep(0.001)
        await rejected.send(plain(5, 9))
        recording.set()
        await rejected.settled()
        assert rejected.error is not None
        assert other.error is None
        storing.set()
        await other.settled()
        assert other.error is None
        assert rejected.writer is not None
        again = await process.open(rejected.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 3
        await again.send(plain(1, 9))
        await again.settled()
    for stream, last in ((again, 9), (other, 5)):
        assert stream.writer is not None
        store.assert_exactly_once(stream.writer.binding.writer, last)


async def test_a_rejection_of_unknown_outcome_sends_its_client_away_until_it_is_known() -> None:
    store = MemoryStore(after_rejects=[unknown] * 10_000)
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 3), oversize(4), plain(5, 9))
        while stream.error is None:
            await asyncio.sleep(0.001)
        assert process.committer.recording
        other = await process.open(binding(1))
        await other.send(plain(1, 5))
        await other.settled()
        assert other.error is None
        assert process.committer.trouble is None
        store.after_rejects.clear()
        await stream.settled()
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 4
        await again.send(plain(1, 9))
        await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 9)


async def test_what_its_writer_sent_behind_a_rejection_is_in_nobodys_way() -> None:
    """Scenario: a rejection is being recorded, and its writer has more queued."""
    gate = threading.Event()
    store = MemoryStore(before_rejects=[lambda: wait(gate)])
    async with Process(store) as process:
        rejected, other = await process.open(binding(0)), await process.open(binding(1))
        await rejected.send(oversize(1))
        while not process.committer.recording:
            await asyncio.sleep(0.001)
        await rejected.send(plain(2, 5), oversize(6), plain(7, 9))
        await asyncio.sleep(0.02)
        for last in (5, 9):
            await other.send(plain(last - 4, last))
            await other.settled()
        assert process.committer.queued_batches == 3
        assert not store.rejects
        gate.set()
        await rejected.settled()
    for stream in (rejected, other):
        assert stream.writer is not None
        store.assert_exactly_once(stream.writer.binding.writer, 9)
    kinds = [kind for kind in store.order if kind != "names"]
    assert kinds == ["points", "points", "reject", "points", "reject", "points"]


async def test_a_rejection_behind_one_that_is_being_recorded_is_in_nobodys_way() -> None:
    """Guarantee: those that came meanwhile are recorded together."""
    gate = threading.Event()
    store = MemoryStore(before_rejects=[lambda: wait(gate)])
    async with Process(store) as process:
        streams = [await process.open(binding(rank)) for rank in range(4)]
        other = await process.open(binding(4))
        for number, stream in enumerate(streams, 1):
            await stream.send(oversize(1))
            while process.committer.recording < number:
                await asyncio.sleep(0.001)
        await other.send(plain(1, 5))
        await other.settled()
        assert not store.rejects
        gate.set()
        for stream in streams:
            await stream.settled()
    assert store.order.count("reject") == 2
    assert len(store.rejects) == 4


async def test_what_waits_behind_rejections_is_stored_before_the_service_stops() -> None:
    gate = threading.Event()
    store = MemoryStore(before_rejects=[lambda: wait(gate)])
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 3), oversize(4))
        while not process.committer.recording:
            await asyncio.sleep(0.001)
        await stream.send(plain(5, 7), oversize(8), plain(9, 9))
        stopping = asyncio.create_task(process.committer.stop())
        await asyncio.sleep(0.02)
        assert not stopping.done()
        gate.set()
        await stopping
    assert stream.writer is not None
    assert stream.writer.committed == 9
    store.assert_exactly_once(stream.writer.binding.writer, 9)


async def test_rejections_are_recorded_in_calls_of_bounded_size() -> None:
    gate = threading.Event()
    store = MemoryStore(before_rejects=[lambda: wait(gate)])
    limits = replace(FAST, max_rejected_bytes=1_000, group_bytes=2_500)
    async with Process(store, limits) as process:
        streams = [await process.open(binding(rank)) for rank in range(6)]
        for number, stream in enumerate(streams, 1):
            await stream.send(oversize(1))
            while process.committer.recording < number:
                await asyncio.sleep(0.001)
        gate.set()
        for stream in streams:
            await stream.settled()
    # The first one, and the other five by two.
    assert store.order.count("reject") == 4


async def test_a_fault_of_the_recorder_ends_the_committer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guarantee: the service does not live on with clients that wait for ever."""

    def fail(self: Recorder) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Recorder, "_take", fail)
    process = Process(MemoryStore())
    task = process.committer.start()
    stream = await process.open(binding())
    await stream.send(oversize(1))
    with pytest.raises(RuntimeError, match="a fault"):
        await asyncio.wait_for(task, 30)


async def test_what_lies_behind_a_rejection_that_is_not_recorded_is_not_recorded_either() -> None:
    """Scenario: two rejections of a writer are recorded by different calls, and the first call
    fails for good. Guarantee: the mark does not pass over the first."""
    recording, storing, down = threading.Event(), threading.Event(), [True]

    def refused_while_down() -> None:
        if down[0]:
            refused()

    store = MemoryStore(
        before=[lambda: wait(storing)],
        before_rejects=[lambda: wait(recording), *[refused_while_down] * 10_000],
    )
    limits = replace(FAST, store_patience=2.0, max_rejected_bytes=800, group_bytes=1_700)
    async with Process(store, limits) as process:
        first, second, stream, busy = [await process.open(binding(rank)) for rank in range(4)]
        for count, one in enumerate((first, second), 1):
            await one.send(oversize(1))
            while process.committer.recording < count:
                await asyncio.sleep(0.001)
        await busy.send(plain(1, 1))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await stream.send(oversize(1), oversize(2))  # of one group
        storing.set()
        while process.committer.recording < 4:
            await asyncio.sleep(0.001)
        recording.set()
        while stream.error is None:
            await asyncio.sleep(0.001)
        down[0] = False
        await stream.settled()
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 0
        await again.send(oversize(1), oversize(2), plain(3, 5))
        await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 5)


async def test_a_store_that_goes_down_after_a_refusal_keeps_each_waiting_once() -> None:
    """Scenario: a call is refused, so its rejections are tried one by one, and the store fails.
    Guarantee: behind the first of them the others go together again."""
    busy = threading.Event()

    def blame() -> None:
        raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)

    store = MemoryStore(before_rejects=[lambda: wait(busy), blame, blame, *[refused] * 100_000])
    async with Process(store, IMPATIENT) as process:
        streams = [await process.open(binding(rank)) for rank in range(9)]
        for count, stream in enumerate(streams, 1):
            await stream.send(oversize(1))
            while process.committer.recording < count:
                await asyncio.sleep(0.001)
        busy.set()
        for stream in streams:
            await stream.settled()
        assert all(stream.error is not None for stream in streams[1:])
    assert [size for size, _ in groupby(store.reject_calls)] == [1, 8, 1, 7]


async def test_a_rejection_that_is_refused_is_the_only_one_to_be_lost() -> None:
    """Guarantee: neither the others of its call, nor points of others, wherever they are."""
    recording, storing = threading.Event(), threading.Event()
    store = MemoryStore(before=[lambda: wait(storing)], before_rejects=[lambda: wait(recording)])
    async with Process(store) as process:
        busy, refused_one, rejected = [await process.open(binding(rank)) for rank in range(3)]
        stored, queued = await process.open(binding(3)), await process.open(binding(4))
        await busy.send(oversize(1))
        while not process.committer.recording:
            await asyncio.sleep(0.001)
        assert refused_one.writer is not None
        culprit = refused_one.writer.binding.writer
        store.unrecordable = lambda writer: writer == culprit
        await refused_one.send(oversize(1))
        await rejected.send(oversize(1))
        while process.committer.recording < 3:
            await asyncio.sleep(0.001)
        await stored.send(plain(1, 5))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await queued.send(plain(1, 5))
        await refused_one.send(plain(2, 5))
        recording.set()
        await refused_one.settled()
        assert refused_one.error is not None
        storing.set()
        others = (busy, rejected, stored, queued)
        for stream in others:
            await stream.settled()
        assert [stream.error for stream in others] == [None] * 4
    assert store.seqs(culprit) == []
    assert {writer for writer, *_ in store.rejects} == {
        stream.writer.binding.writer for stream in (busy, rejected) if stream.writer is not None
    }


@pytest.mark.parametrize("meanwhile", ["the next group is large", "the service stops"])
async def test_nobody_waits_for_a_rejection_that_was_dropped(meanwhile: str) -> None:
    """Scenario: the names of a batch are refused, and with it goes a rejection of its writer from
    the same group, the rest of which is stored one by one. Guarantee: what the writer sends on its
    next stream is stored."""
    busy, slow = threading.Event(), threading.Event()
    store = MemoryStore(before=[lambda: wait(busy)])
    ahead = 1 if meanwhile == "the next group is large" else FAST.group_ahead_rows
    async with Process(store, replace(FAST, group_ahead_rows=ahead)) as process:
        first, stream, other = [
            await process.open(binding(rank, f"run-{rank}")) for rank in range(3)
        ]
        assert stream.writer is not None
        await first.send(plain(1, 1))
        while not store.inserts:
            await asyncio.sleep(0.001)
        nameless = stream.writer.binding.run
        store.unnameable = lambda run: run == nameless
        store.before = [lambda: wait(slow)]
        await stream.send(plain(1, 3), oversize(4))
        await other.send(plain(1, 3))
        busy.set()
        while stream.error is None:
            await asyncio.sleep(0.001)
        store.unnameable = lambda run: False
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 3
        await again.send(plain(4, 6))
        if meanwhile == "the service stops":
            stopping = asyncio.create_task(process.committer.stop())
        await asyncio.sleep(0.05)  # it is looked at, and must not be put aside
        slow.set()
        await other.settled()
        await again.settled()
        if meanwhile == "the service stops":
            await stopping
    store.assert_exactly_once(stream.writer.binding.writer, 6)
