"""The Push stream over real gRPC, with a store in memory: what is sent is stored and acked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest

from stepline import _core
from stepline_ingest import push
from stepline_ingest.errors import later
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc
from stepline_ingest.push import IngestService
from stepline_ingest.writers import Binding
from tests.support.memory_store import MemoryStore, refused
from tests.support.push_streams import DEADLINE, Client, Ended, Start
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    columnar,
    plain,
)


async def test_welcome_then_acks(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    welcome = await client.hello(place)
    assert welcome == ingest_pb2.Welcome(
        committed_seq=0,
        window_batches=FAST.window_batches,
        window_bytes=FAST.window_bytes,
        max_batch_bytes=FAST.max_batch_bytes,
        max_batch_points=FAST.max_batch_points,
    )
    await client.send(columnar(1, 10), plain(11, 20))
    await client.acked(20)
    await client.send(plain(21, 2_000))  # large enough for a thread
    await client.close()
    running.store.assert_exactly_once(place.writer, 2_000)
    assert (await Client(running).hello(place, epoch=2)).committed_seq == 2_000


async def test_values_arrive_bit_for_bit(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    batch = plain(1, 3)
    batch.plain.value[:] = [float("nan"), float("inf"), -0.0, 5e-324, 1e308, -1.5]
    await client.send(batch)
    await client.close()
    stored = [
        running.store.values[place.writer, seq, _core.siphash64(m)]
        for seq in (1, 2, 3)
        for m in ("loss", "lr")
    ]
    assert list(map(repr, stored)) == list(map(repr, batch.plain.value))


async def test_a_client_that_closes_at_once_still_gets_its_acks(start: Start) -> None:
    running = await start()
    client = Client(running)
    place = binding()
    await client.hello(place)
    await client.send(columnar(1, 3))
    await client.close()
    running.store.assert_exactly_once(place.writer, 3)


async def test_a_replay_is_acknowledged_and_dropped(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    await client.send(plain(1, 10))
    await client.acked(10)
    await client.send(plain(3, 7))
    await client.acked(10)
    await client.send(columnar(2, 9), plain(10, 12))
    await client.acked(12)
    await client.close()
    running.store.assert_exactly_once(place.writer, 12)


async def test_the_window_is_enforced(start: Start) -> None:
    store = MemoryStore(before=[refused] * 1_000)
    running = await start(store, replace(FAST, window_batches=2))
    client = Client(running)
    await client.hello(binding())
    await client.send(plain(1, 1), plain(2, 2), plain(3, 3))
    code, said = await client.ended()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "wait for acks" in said
    assert await client.retry_info() == b""
    store.before.clear()


async def test_a_full_budget_pauses_reading_and_loses_nothing(start: Start) -> None:
    """Many writers, and room for little more than one batch at a time."""
    running = await start(limits=replace(FAST, max_inflight_bytes=3_000))
    places = [binding(rank) for rank in range(8)]

    async def push(place: Binding) -> None:
        client = Client(running)
        await client.hello(place)
        for at in range(0, 200, 20):
            await client.send(plain(at + 1, at + 20))
        await client.acked(200)
        await client.close()

    await asyncio.gather(*map(push, places))
    for place in places:
        running.store.assert_exactly_once(place.writer, 200)


async def test_a_store_that_is_down_sends_the_client_away(start: Start) -> None:
    store = MemoryStore(before=[refused] * 10_000)
    running = await start(store, IMPATIENT)
    place = binding()
    client = Client(running)
    await client.hello(place)
    await client.send(plain(1, 5))
    code, said = await client.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "nothing is lost" in said
    assert b"google.rpc.RetryInfo" in await client.retry_info()
    store.before.clear()
    again = Client(running)
    await again.hello(place, epoch=2)
    await again.send(plain(1, 5))
    await again.acked(5)
    store.assert_exactly_once(place.writer, 5)


async def test_a_client_that_vanishes_can_come_back(start: Start) -> None:
    running = await start()
    place = binding()
    for epoch in range(1, 11):
        client = Client(running)
        mark = (await client.hello(place, epoch=epoch)).committed_seq
        await client.send(plain(mark + 1, mark + 2), plain(mark + 3, mark + 4))
        client.cancel()
    client = Client(running)
    mark = (await client.hello(place, epoch=11)).committed_seq
    await client.send(plain(mark + 1, 100))
    await client.close()
    running.store.assert_exactly_once(place.writer, 100)


async def test_draining_acknowledges_what_was_received(start: Start) -> None:
    running = await start(limits=replace(FAST, min_linger=0.2, max_linger=0.2))
    place = binding()
    client, silent = Client(running), Client(running)
    await client.hello(place)
    await client.send(plain(1, 5))
    await silent.write(batch=None)  # begins the call, and says nothing
    while not running.process.budget.used:
        await asyncio.sleep(0)
    await asyncio.wait_for(running.service.drain(), DEADLINE)
    await client.acked(5)
    assert (await client.ended())[0] is grpc.StatusCode.UNAVAILABLE
    late = Client(running)
    with pytest.raises(Ended, match="stopping"):
        await late.hello(place, epoch=2)
    running.store.assert_exactly_once(place.writer, 5)


class HungUp:
    """What gRPC gives to a call: a Hello, and then nothing more."""

    def __init__(self, place: Binding) -> None:
        hello = ingest_pb2.Hello(
            writer=place.writer, run_id=place.run_id, attempt=place.attempt, epoch=1
        )
        self._messages = [ingest_pb2.PushRequest(hello=hello)]

    async def read(self) -> ingest_pb2.PushRequest:
        while not self._messages:
            await asyncio.sleep(3600)
        return self._messages.pop()

    async def write(self, reply: ingest_pb2.PushReply) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize("turns", range(5))
async def test_a_stream_that_is_hung_up_while_it_ends_is_not_remembered(turns: int) -> None:
    async with Process(MemoryStore()) as process:
        place = binding()

        async def bind(hello: ingest_pb2.Hello) -> Binding:
            return place

        service = IngestService(
            writers=process.writers, names=process.names, pipeline=process.pipeline, bind=bind
        )
        call = asyncio.create_task(service.Push(None, HungUp(place)))  # type: ignore[arg-type]
        while not process.writers.owners() or not any(s.welcomed for s in service._streams):
            await asyncio.sleep(0)
        (owner,) = process.writers.owners()
        owner.fail(later("the store fails"))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert process.writers.owners() == []


async def test_a_client_that_takes_no_replies(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guarantees: what waits to be told to it has a bound, and a service that drains does not wait
    for it once its batches are settled."""
    monkeypatch.setattr(push, "FAREWELL", 0.1)
    running = await start(limits=replace(FAST, window_batches=4))
    narrow = [("grpc.http2.lookahead_bytes", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(running.address, options=narrow) as channel:
        client = Client(replace(running, stub=ingest_pb2_grpc.IngestStub(channel)))
        place = binding()
        await client.hello(place)
        (stream,) = running.service._streams
        (writer,) = running.process.writers._writers.values()
        while stream._hears.is_set():
            malformed = plain(writer.committed + 1, writer.committed + 1)
            malformed.plain.metrics[0] = ""
            await client.send(malformed)
            while writer.committed < malformed.last_seq and stream._hears.is_set():
                await asyncio.sleep(0.001)
        for seq in range(writer.committed + 1, writer.committed + 4):
            await client.send(plain(seq, seq))
        await asyncio.sleep(0.1)
        assert len(stream._rejected) == 4
        assert not stream.ended.is_set()
        await asyncio.wait_for(running.service.drain(), DEADLINE)
        assert not stream.ended.is_set()
