"""Group commit over a store that fails in every way: what was acknowledged is stored, and stored
once."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import replace

import grpc
import pytest

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.writers import Binding
from tests.support.memory_store import MemoryStore, refused, unknown
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    columnar,
    plain,
    wait,
)


async def test_batches_of_many_writers_share_an_insert() -> None:
    store = MemoryStore()
    async with Process(store) as process:
        streams = [await process.open(binding(rank)) for rank in range(20)]
        for stream in streams:
            await stream.send(columnar(1, 5), plain(6, 9))
        for stream in streams:
            await stream.settled()
    for stream in streams:
        assert stream.writer is not None
        assert stream.writer.committed == 9
        assert stream.stored_calls > 0
        store.assert_exactly_once(stream.writer.binding.writer, 9)
    assert len(store.inserts) < 20
    assert store.order[0] == "names", "names come before the points that use them"


async def test_an_unknown_outcome_is_repeated_with_the_same_token() -> None:
    """Scenario: the insert takes effect, and its answer is lost twice."""
    store = MemoryStore(after=[unknown, unknown])
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(columnar(1, 10))
        await stream.settled()
    assert stream.writer is not None
    assert stream.writer.committed == 10
    assert len(store.inserts) == 3
    assert len({insert.token for insert in store.inserts}) == 1
    store.assert_exactly_once(stream.writer.binding.writer, 10)


async def test_a_failure_before_the_commit_is_repeated() -> None:
    store = MemoryStore(before=[refused, unknown, refused])
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(columnar(1, 10))
        await stream.settled()
    assert stream.error is None
    store.assert_exactly_once(stream.writer.binding.writer, 10)  # type: ignore[union-attr]


async def test_a_store_that_stays_down_sends_clients_away_and_acks_nothing() -> None:
    store = MemoryStore(before=[refused] * 10_000)
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(columnar(1, 10), plain(11, 20))
        await stream.settled()
        assert stream.error is not None
        assert stream.error.code is grpc.StatusCode.UNAVAILABLE
        assert stream.error.retry_after is not None
        assert stream.stored_calls == 0
        assert stream.writer is not None
        assert stream.writer.committed == 0
        # The store comes back, and so does the client.
        store.before.clear()
        again = await process.open(stream.writer.binding, epoch=2)
        await again.send(columnar(1, 20))
        await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 20)


async def test_a_writer_of_unknown_outcome_gets_no_stream_until_it_is_known() -> None:
    """Scenario: an insert hangs beyond all patience, takes effect, and only then answers.
    Guarantees: the client is sent away, cannot open a stream meanwhile, and finds its points
    afterwards."""
    answer = threading.Event()
    store = MemoryStore(after=[lambda: wait(answer)])
    async with Process(store, replace(IMPATIENT, hello_timeout=0.2)) as process:
        stream = await process.open(binding())
        await stream.send(columnar(1, 10))
        assert stream.writer is not None
        while stream.error is None:
            await asyncio.sleep(0.01)
        assert stream.error.code is grpc.StatusCode.UNAVAILABLE
        assert process.committer.trouble
        with pytest.raises(ServiceError, match="not settled") as refusal:
            await process.open(stream.writer.binding, epoch=2)
        assert refusal.value.is_retryable
        answer.set()
        await stream.settled()
        again = await process.open(stream.writer.binding, epoch=3)
        assert again.writer is not None
        assert again.writer.committed == 10
        await again.send(columnar(1, 12))
        await again.settled()
        assert process.committer.trouble is None
    store.assert_exactly_once(stream.writer.binding.writer, 12)


async def test_what_lies_behind_a_lost_group_is_dropped_too() -> None:
    """A later batch must never be stored when an earlier one was not: the mark would pass over
    it."""
    store = MemoryStore(before=[refused] * 10_000)
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        other = await process.open(binding(rank=1))
        await stream.send(columnar(1, 5))
        await asyncio.sleep(0.05)  # the group is being refused
        await stream.send(plain(6, 9))
        await other.send(columnar(1, 3))
        await stream.settled()
        await other.settled()
        assert other.error is not None
        store.before.clear()
        await stream.send(plain(10, 12))
        await stream.settled()
    assert store.points.total() == 0, "a stream that has failed hands nothing over"


async def test_nothing_overtakes_what_was_dropped() -> None:
    """Scenario: a group finds the store down until patience ends; what its writers had queued
    behind it would find it up again. Guarantee: that is not stored, as the mark would pass over the
    group."""
    store = MemoryStore(out_of_reach=lambda writer, seq: seq <= 5)
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 5))
        while not store.inserts:
            await asyncio.sleep(0)
        await stream.send(plain(6, 9))
        await stream.settled()
        assert stream.error is not None
        assert store.points.total() == 0
        assert stream.writer is not None
        assert stream.writer.committed == 0


async def test_a_refusal_after_an_unknown_outcome_decides_nothing() -> None:
    """Scenario: an insert takes effect and its answer is lost; then the store is down for longer
    than patience lasts. Guarantee: the batch is not taken for lost, and is not stored a second
    time."""
    store = MemoryStore(before=[None] + [refused] * 10_000, after=[unknown])
    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 10))
        while stream.error is None:
            await asyncio.sleep(0.01)
        store.before.clear()
        assert stream.writer is not None
        again = await process.open(stream.writer.binding, epoch=2)
        assert again.writer is not None
        assert again.writer.committed == 10
        await again.send(plain(1, 12))
        await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 12)


async def test_overlaps_are_stored_once() -> None:
    store = MemoryStore()
    async with Process(store) as process:
        stream = await process.open(binding())
        await stream.send(plain(1, 10), plain(5, 15), columnar(2, 22), plain(16, 18), plain(14, 25))
        await stream.settled()
    assert stream.writer is not None
    store.assert_exactly_once(stream.writer.binding.writer, 25)


async def test_a_new_process_reads_the_mark_from_the_store() -> None:
    store = MemoryStore()
    place = binding()
    async with Process(store) as process:
        stream = await process.open(place)
        await stream.send(columnar(1, 10))
        await stream.settled()
    async with Process(store) as process:
        stream = await process.open(place)
        assert stream.writer is not None
        assert stream.writer.committed == 10
        await stream.send(columnar(1, 25))
        await stream.settled()
    store.assert_exactly_once(place.writer, 25)


async def test_the_next_block_is_built_while_an_insert_runs() -> None:
    gate = threading.Event()
    store = MemoryStore(before=[lambda: wait(gate)])
    async with Process(store, replace(FAST, group_ahead_rows=1)) as process:
        stream = await process.open(binding())
        await stream.send(columnar(1, 5))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await stream.send(plain(6, 9))
        while process.committer.queued_batches:
            await asyncio.sleep(0.001)
        await stream.send(plain(10, 12))  # no third group is closed meanwhile
        await asyncio.sleep(0.02)
        assert process.committer.queued_batches == 1
        assert len(store.inserts) == 1, "one INSERT at a time"
        gate.set()
        await stream.settled()
    assert [insert.rows for insert in store.inserts] == [10, 8, 6]
    store.assert_exactly_once(stream.writer.binding.writer, 12)  # type: ignore[union-attr]


async def test_a_lost_group_takes_the_one_that_was_built_behind_it_along() -> None:
    """Guarantee: it is dropped, its memory is given back, and its writers may send it again."""
    gate = threading.Event()
    store = MemoryStore(before=[lambda: wait(gate)] + [refused] * 10_000)
    async with Process(store, replace(IMPATIENT, group_ahead_rows=1)) as process:
        stream, other = await process.open(binding(0)), await process.open(binding(1))
        store.out_of_reach = lambda writer, seq: True
        await stream.send(columnar(1, 5))
        while not store.inserts:
            await asyncio.sleep(0.001)
        await stream.send(plain(6, 9))
        await other.send(columnar(1, 3))
        while process.committer.queued_batches:
            await asyncio.sleep(0.001)
        gate.set()
        await stream.settled()
        await other.settled()
        assert stream.error is not None
        assert other.error is not None
        assert store.points.total() == 0
        assert stream.writer is not None
        assert other.writer is not None
        assert stream.writer.built == 0
        store.before.clear()
        store.out_of_reach = lambda writer, seq: False
        for sent, last in ((stream, 12), (other, 6)):
            assert sent.writer is not None
            again = await process.open(sent.writer.binding, epoch=2)
            await again.send(columnar(1, last))
            await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 12)
    store.assert_exactly_once(other.writer.binding.writer, 6)


@pytest.mark.parametrize("state", ["idle", "queued", "storing", "unknown", "down"])
async def test_a_newer_epoch_ends_the_older_stream_in_every_state(state: str) -> None:
    """Guarantee: the older stream ends with ABORTED and hands nothing over any more; the newer one
    begins where the older one's batches ended."""
    gate = threading.Event()
    held = {"storing": [lambda: wait(gate)], "down": [refused] * 3}.get(state, [])
    store = MemoryStore(before=list(held))
    if state == "unknown":
        store.after = [lambda: wait(gate), unknown, unknown]
    limits = replace(FAST, min_linger=0.2) if state == "queued" else FAST
    async with Process(store, limits) as process:
        old = await process.open(binding(), epoch=5)
        assert old.writer is not None
        if state != "idle":
            await old.send(plain(1, 10))
        if state in ("storing", "unknown"):
            while not store.inserts:
                await asyncio.sleep(0.001)
        newer = asyncio.create_task(process.open(old.writer.binding, epoch=6))
        while old.error is None:
            await asyncio.sleep(0)
        assert old.error.code is grpc.StatusCode.ABORTED
        await old.send(plain(1 if state == "idle" else 11, 20))  # what was on its way
        if state in ("storing", "unknown"):
            assert not newer.done()
        gate.set()
        new = await newer
        assert new.writer is not None
        assert new.writer.committed == (0 if state == "idle" else 10)
        with pytest.raises(ServiceError, match="leave the writer") as late:
            await process.open(new.writer.binding, epoch=5)
        assert late.value.code is grpc.StatusCode.ABORTED
        await new.send(plain(1, 30))
        await new.settled()
    store.assert_exactly_once(new.writer.binding.writer, 30)


@pytest.mark.parametrize("ahead", [1, 500_000])
@pytest.mark.parametrize("seed", range(15))
async def test_random_faults_and_crashes(seed: int, ahead: int) -> None:
    """Scenario: writers send ranges cut at random, with overlaps and replays, and batches that are
    rejected, over a store that fails at random before and after the commit, through processes that
    crash at random. Guarantees: in the end everything is stored exactly once or rejected, nothing
    ever before what lies below it, and no ack was ever above what is stored."""
    chance = random.Random(seed)
    store = MemoryStore()
    places = [binding(rank) for rank in range(3)]
    last = 60
    marks = dict.fromkeys((place.writer for place in places), 0)
    epoch = 0
    while any(mark < last for mark in marks.values()):
        epoch += 1
        process = Process(store, replace(FAST, group_ahead_rows=ahead))
        await process.__aenter__()
        store.before = [chance.choice([None, None, refused, unknown]) for _ in range(10)]
        store.after = [chance.choice([None, None, unknown]) for _ in range(10)]
        store.before_rejects = [chance.choice([None, refused, unknown, _slow]) for _ in range(10)]
        store.after_rejects = [chance.choice([None, None, unknown]) for _ in range(10)]
        streams = [await process.open(place, epoch) for place in places]
        for stream in streams:
            assert stream.writer is not None
            mark = stream.writer.committed
            assert mark >= marks[stream.writer.binding.writer], "an ack was taken back"
            at, sent = mark, False
            while at < min(last, mark + 25):
                if chance.random() < 0.15:
                    at += 1
                    await stream.send(_nameless(at))
                    continue
                first = max(1, at + 1 - chance.randrange(5))
                at = min(last, first + chance.randrange(12))
                if at >= first:
                    # A columnar batch of these defines its names, which a stream does once.
                    encode = chance.choice([columnar, plain]) if not sent else plain
                    sent = True
                    await stream.send(encode(first, at))
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.02)
            process.crash()
            await asyncio.gather(process.task, return_exceptions=True)
        else:
            for stream in streams:
                await stream.settled()
            await process.__aexit__()
        process.committer._persistence._executor.shutdown()  # an insert that runs may still land
        for stream in streams:
            assert stream.writer is not None
            assert stream.error is None
            marks[stream.writer.binding.writer] = stream.writer.committed
            assert await store.mark(stream.writer.binding) >= stream.writer.committed
        store.before, store.after = [], []
        store.before_rejects, store.after_rejects = [], []
    for place in places:
        store.assert_exactly_once(place.writer, last)


def _nameless(seq: int) -> ingest_pb2.Batch:
    batch = plain(seq, seq)
    batch.plain.metrics[0] = ""
    return batch


def _slow() -> None:
    time.sleep(0.01)


@pytest.mark.parametrize("mark", ["read", "not answered", "unreadable"])
async def test_a_token_that_is_only_known_is_no_success(mark: str) -> None:
    """Scenario: the store notes the token, fails before the points are there, and takes the
    repetition for done. Guarantees: they are not acknowledged, and stored when they come again."""
    store = MemoryStore(halfway=[unknown])
    asked = store.mark

    async def ask(place: Binding) -> int:
        if mark == "unreadable":
            refused()
        if mark == "not answered":
            await asyncio.sleep(60)
        return await asked(place)

    async with Process(store, IMPATIENT) as process:
        stream = await process.open(binding())
        assert stream.writer is not None
        store.mark = ask  # type: ignore[method-assign]
        await stream.send(columnar(1, 10))
        await stream.settled()
        assert stream.writer.committed == 0
        assert stream.error is not None
        assert stream.error.code is grpc.StatusCode.UNAVAILABLE
        again = await process.open(stream.writer.binding, epoch=2)
        await again.send(columnar(1, 10))
        await again.settled()
    store.assert_exactly_once(stream.writer.binding.writer, 10)
