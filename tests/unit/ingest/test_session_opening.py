"""Which streams may begin, and where: epochs, places, gaps."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import grpc
import pytest

from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.writers import Binding
from tests.support.memory_store import MemoryStore, unknown
from tests.support.push_streams import Client, Ended, Start
from tests.support.writers import (
    IMPATIENT,
    binding,
    columnar,
    plain,
)


async def test_hello_comes_first_and_once(start: Start) -> None:
    running = await start()
    rude = Client(running)
    await rude.send(columnar(1, 3))
    code, said = await rude.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "Hello first" in said
    twice = Client(running)
    await twice.hello(binding())
    await twice.write(hello=ingest_pb2.Hello())
    assert (await twice.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_gap_is_refused(start: Start) -> None:
    running = await start()
    client = Client(running)
    place = binding()
    await client.hello(place)
    await client.send(columnar(1, 3), plain(5, 6))
    code, said = await client.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "send from 4 on" in said
    # What came before the gap is stored.
    assert (await Client(running).hello(place, epoch=2)).committed_seq == 3


@pytest.mark.parametrize(("first", "last"), [(0, 3), (4, 3), (1, 2**63)])
async def test_impossible_ranges_are_refused(start: Start, first: int, last: int) -> None:
    client = Client(await start())
    await client.hello(binding())
    batch = columnar(1, 3)
    batch.first_seq, batch.last_seq = first, last
    await client.send(batch)
    assert (await client.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_newer_epoch_ends_the_older_stream(start: Start) -> None:
    running = await start()
    place = binding()
    older, newer, late = Client(running), Client(running), Client(running)
    await older.hello(place, epoch=5)
    await older.send(columnar(1, 10))
    welcome = await newer.hello(place, epoch=6)
    assert welcome.committed_seq in (0, 10), "a batch in flight is settled before the answer"
    code, said = await older.ended()
    assert code is grpc.StatusCode.ABORTED
    assert "epoch 6" in said
    with pytest.raises(Ended, match="epoch 6"):
        await late.hello(place, epoch=5)
    assert (await late.ended())[0] is grpc.StatusCode.ABORTED
    await newer.send(plain(1, 12))
    await newer.acked(12)
    await newer.close()
    running.store.assert_exactly_once(place.writer, 12)


async def test_equal_epochs_the_later_stream_lives(start: Start) -> None:
    running = await start()
    place = binding()
    first, second = Client(running), Client(running)
    await first.hello(place)
    await second.hello(place)
    assert (await first.ended())[0] is grpc.StatusCode.ABORTED
    await second.send(plain(1, 2))
    await second.close()


async def test_a_newer_stream_waits_for_the_batches_in_flight(start: Start) -> None:
    """Scenario: the answer to an insert is lost while a second stream says Hello. Guarantee:
    Welcome tells the mark after it."""
    running = await start(MemoryStore(after=[unknown, unknown, unknown]))
    place = binding()
    older = Client(running)
    await older.hello(place)
    await older.send(columnar(1, 10))
    while not running.store.inserts:
        await asyncio.sleep(0)
    newer = Client(running)
    assert (await newer.hello(place, epoch=2)).committed_seq == 10


async def test_a_writer_has_one_place(start: Start) -> None:
    running = await start()
    place = binding()
    await Client(running).hello(place)
    moved = Client(running)
    with pytest.raises(Ended, match="a writer is one process"):
        await moved.hello(replace(place, rank=1), epoch=2)


async def test_a_stream_that_is_fenced_while_it_opens_records_no_gap(start: Start) -> None:
    """Scenario: an older stream, which has lost sequences, still reads the names of its run when a
    newer one claims its writer, which has them."""
    running = await start()
    place = binding()
    gate = asyncio.Event()
    load = running.process.names._load

    async def slow(run: int) -> Any:
        await gate.wait()
        return await load(run)

    running.process.names._load = slow
    older, newer = Client(running), Client(running)
    hello = older.hello(place, first_unacknowledged=10, lost_before_upload=True)
    opening = [asyncio.create_task(hello)]
    while not running.process.writers.owners():
        await asyncio.sleep(0.001)
    (owner,) = running.process.writers.owners()
    opening.append(asyncio.create_task(newer.hello(place, epoch=2)))
    while running.process.writers.owners() == [owner]:
        await asyncio.sleep(0.001)
    gate.set()
    fenced, welcome = await asyncio.gather(*opening, return_exceptions=True)
    assert isinstance(fenced, Ended)
    assert isinstance(welcome, ingest_pb2.Welcome)
    await newer.send(plain(1, 9))
    await newer.close()
    assert not running.store.rejects
    running.store.assert_exactly_once(place.writer, 9)


async def test_a_stream_that_opens_while_the_service_drains_is_not_read(start: Start) -> None:
    """Scenario: its Hello is answered in the moment in which the service begins to drain."""
    running = await start()
    draining: list[asyncio.Task[None]] = []
    load = running.process.writers._load_mark

    async def mark(place: Binding) -> int:
        draining.append(asyncio.create_task(running.service.drain()))
        return await load(place)

    running.process.writers._load_mark = mark
    client = Client(running)
    with contextlib.suppress(Ended):
        await client.hello(binding())
    code, said = await client.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in said
    await asyncio.wait_for(draining[0], 30)


@pytest.mark.parametrize("first", [(1 << 44) + 1, (1 << 64) - 1])
async def test_a_gap_beyond_all_sequences_is_refused(start: Start, first: int) -> None:
    running = await start()
    client = Client(running)
    with pytest.raises(Ended, match="begin a new writer"):
        await client.hello(binding(), first_unacknowledged=first, lost_before_upload=True)
    assert (await client.ended())[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert not running.store.rejects


async def test_lost_data_that_cannot_be_recorded_is_told_so(start: Start) -> None:
    running = await start(limits=IMPATIENT)
    running.store.before_rejects = [unknown] * 100_000
    client = Client(running)
    with pytest.raises(Ended, match="the store fails"):
        await client.hello(binding(), first_unacknowledged=5, lost_before_upload=True)
    running.store.before_rejects.clear()


async def test_lost_data_is_not_passed_over_in_silence(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    with pytest.raises(Ended, match="lost_before_upload"):
        await client.hello(place, first_unacknowledged=5)
    assert (await client.ended())[0] is grpc.StatusCode.DATA_LOSS
    client = Client(running)
    welcome = await client.hello(place, epoch=2, first_unacknowledged=5, lost_before_upload=True)
    assert welcome.committed_seq == 4
    await client.send(plain(5, 6))
    await client.close()
    assert [reject[1:3] for reject in running.store.rejects] == [(1, 4)]
    running.store.assert_exactly_once(place.writer, 6)
