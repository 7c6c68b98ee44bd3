"""Batches that can never be stored: recorded in their place, told, and in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import grpc
import pytest

from stepline_ingest.rejections import Recorder
from stepline_ingest.store.errors import StoreError
from tests.support.memory_store import MemoryStore, refused, unknown
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    columnar,
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
        before=[None, lambda: wait(storing)], before_rejects=[lambda: refuse_after(recording)]
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
        assert process.committer.trouble
        assert process.committer.recording
        store.after_rejects.clear()
        await stream.settled()
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 4
        await again.send(plain(1, 9))
        await again.settled()
        assert process.committer.trouble is None
    store.assert_exactly_once(stream.writer.binding.writer, 9)


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


async def test_bytes_that_were_cut_on_their_way_are_no_poison_behind_an_unknown_outcome() -> None:
    """Scenario: an INSERT takes effect, its answer is lost, and of the repetition the store sees a
    part only. Guarantee: it is repeated once more, so that nothing is stored twice or put aside."""

    def cut() -> None:
        raise StoreError("Code: 33. CANNOT_READ_ALL_DATA", blames_data=True)

    store = MemoryStore(before=[None, cut], after=[unknown])
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


async def test_poison_behind_an_unknown_outcome_is_put_aside_all_the_same() -> None:
    store = MemoryStore(before=[unknown], poison=lambda writer, seq: seq == 4)
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 3), plain(4, 6), plain(7, 9))
        await stream.settled()
    assert [(first, last) for _, first, last, _ in store.rejects] == [(4, 6)]


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
