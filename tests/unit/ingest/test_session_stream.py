"""The Push stream over real gRPC, with a store in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.push import IngestService
from stepline_ingest.session import Session
from stepline_ingest.writers import Binding
from tests.support.memory_store import MemoryStore, refused, unknown
from tests.support.writers import (
    FAST,
    IMPATIENT,
    Process,
    binding,
    columnar,
    damaged,
    plain,
)

DEADLINE = 30


@dataclass
class Running:
    """One life of the service with a port."""

    process: Process
    service: IngestService
    stub: Any

    @property
    def store(self) -> MemoryStore:
        return self.process.store


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts services; ends them with the test."""
    stack: list[tuple[grpc.aio.Server, grpc.aio.Channel, Process]] = []

    async def run(store: MemoryStore | None = None, limits: Limits = FAST) -> Running:
        process = Process(store or MemoryStore(), limits)
        await process.__aenter__()
        service = IngestService(
            writers=process.writers, names=process.names, pipeline=process.pipeline, bind=_bind
        )
        server = grpc.aio.server()
        ingest_pb2_grpc.add_IngestServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        stack.append((server, channel, process))
        return Running(process, service, ingest_pb2_grpc.IngestStub(channel))

    yield run
    for server, channel, process in stack:
        await channel.close()
        await server.stop(0.1)
        process.store.before.clear()
        await process.__aexit__()


async def _bind(hello: ingest_pb2.Hello) -> Binding:
    return Binding(
        writer=hello.writer,
        run_id=hello.run_id,
        run=_core.siphash64(hello.run_id),
        attempt=hello.attempt,
        rank=hello.rank,
    )


class Ended(Exception):
    """The service has ended the stream."""


class Client:
    """One stream, as a client sees it."""

    def __init__(self, running: Running) -> None:
        self._call = running.stub.Push()

    async def hello(self, place: Binding, *, epoch: int = 1, **fields: Any) -> ingest_pb2.Welcome:
        await self.write(
            hello=ingest_pb2.Hello(
                writer=place.writer,
                run_id=place.run_id,
                attempt=place.attempt,
                rank=place.rank,
                epoch=epoch,
                **fields,
            )
        )
        return (await self.read()).welcome

    async def write(self, **kind: Any) -> None:
        try:
            await asyncio.wait_for(self._call.write(ingest_pb2.PushRequest(**kind)), DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.details()) from error

    async def send(self, *batches: ingest_pb2.Batch) -> None:
        for batch in batches:
            await self.write(batch=batch)

    async def read(self) -> ingest_pb2.PushReply:
        try:
            reply = await asyncio.wait_for(self._call.read(), DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.details()) from error
        if reply is grpc.aio.EOF:
            raise Ended("the service has said all")
        return reply

    async def acked(self, seq: int) -> None:
        """Reads until everything up to SEQ is acknowledged."""
        while (await self.read()).ack.committed_seq < seq:
            pass

    async def close(self) -> None:
        """Says that nothing more will come, and reads what is still said."""
        await self._call.done_writing()
        while await asyncio.wait_for(self._call.read(), DEADLINE) is not grpc.aio.EOF:
            pass
        assert await self._call.code() is grpc.StatusCode.OK, await self._call.details()

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        """Reads until the service ends the stream."""
        with contextlib.suppress(Ended):
            while True:
                await self.read()
        code = await asyncio.wait_for(self._call.code(), DEADLINE)
        return code, await self._call.details()

    async def retry_info(self) -> bytes:
        metadata = dict(await self._call.trailing_metadata())
        return metadata.get("grpc-status-details-bin", b"")

    def cancel(self) -> None:
        self._call.cancel()


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


async def test_damage_is_asked_for_again_and_then_put_aside(start: Start) -> None:
    """Scenario: the same range arrives damaged twice. Guarantees: the first time the client is told
    to send it again, the second time it is recorded as rejected, and the stream after that goes on
    above it."""
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    await client.send(plain(1, 3), damaged(4, 6))
    code, said = await client.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "send it again" in said
    assert b"google.rpc.RetryInfo" in await client.retry_info()
    assert not running.store.rejects

    again = Client(running)
    assert (await again.hello(place, epoch=2)).committed_seq == 3
    await again.send(damaged(4, 6))
    rejected = (await again.read()).rejected
    assert (rejected.first_seq, rejected.last_seq) == (4, 6)
    assert (await again.ended())[0] is grpc.StatusCode.UNAVAILABLE, "names went with the batch"

    third = Client(running)
    assert (await third.hello(place, epoch=3)).committed_seq == 6
    await third.send(columnar(7, 9))
    await third.close()
    assert running.store.seqs(place.writer) == [1, 2, 3, 7, 8, 9]
    running.store.assert_exactly_once(place.writer, 9)


async def test_damage_to_what_is_stored_ends_the_stream_too(start: Start) -> None:
    """Scenario: a batch that is stored is sent again, for the names in it, and arrives damaged.
    Guarantee: the client hears of it at once; a stream that went on could store nothing."""
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    await client.send(columnar(1, 3))
    assert (await client.read()).ack.committed_seq == 3

    again = Client(running)
    assert (await again.hello(place, epoch=2)).committed_seq == 3
    await again.send(damaged(1, 3))
    code, said = await again.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "open a new stream" in said
    assert not running.store.rejects

    third = Client(running)
    await third.hello(place, epoch=3)
    await third.send(columnar(4, 6))
    await third.close()
    running.store.assert_exactly_once(place.writer, 6)


async def test_damage_that_happens_once_loses_nothing(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    await client.send(damaged(1, 6))
    await client.ended()
    again = Client(running)
    await again.hello(place, epoch=2)
    await again.send(columnar(1, 6))
    await again.close()
    running.store.assert_exactly_once(place.writer, 6)
    assert not running.store.rejects


async def test_a_malformed_plain_batch_is_put_aside_and_the_stream_goes_on(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    bad = plain(4, 6)
    del bad.plain.value[-1]
    await client.send(plain(1, 3), bad, plain(7, 9))
    await client.close()
    assert running.store.seqs(place.writer) == [1, 2, 3, 7, 8, 9]
    assert [reject[1:3] for reject in running.store.rejects] == [(4, 6)]


async def test_a_format_of_the_future_is_left_with_the_client(start: Start) -> None:
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    batch = columnar(1, 3)
    batch.columnar = _of_version(batch.columnar, 250)
    await client.send(batch)
    assert (await client.ended())[0] is grpc.StatusCode.UNIMPLEMENTED
    assert not running.store.rejects


def _of_version(data: bytes, version: int) -> bytes:
    """The batch with another version byte: the first byte whose change is refused as a version."""
    session = _core.WriterSession(
        writer=bytes(16),
        run=1,
        attempt=1,
        rank=0,
        max_batch_bytes=1 << 20,
        max_batch_points=1_000,
        max_decoded_bytes=1 << 20,
        max_name_bytes=1_024,
        max_metrics=10,
    )
    for at in range(16):
        changed = data[:at] + bytes([version]) + data[at + 1 :]
        try:
            session.decode_columnar(1, 3, changed)
        except _core.CoreError as error:
            if error.kind == "unsupported":
                return changed
    raise AssertionError("no byte of the header is a version")


async def test_too_many_metrics_are_put_aside(start: Start) -> None:
    running = await start(limits=replace(FAST, max_metrics_per_run=2))
    place = binding()
    client = Client(running)
    await client.hello(place)
    wide = plain(4, 6)
    wide.plain.metrics[0] = "another"
    await client.send(plain(1, 3), wide, plain(7, 9))
    await client.close()
    assert running.store.seqs(place.writer) == [1, 2, 3, 7, 8, 9]
    assert "metrics" in running.store.rejects[0][3]


async def test_names_that_were_refused_are_refused_again(start: Start) -> None:
    """Scenario: two writers of a run; one brings a name too many, twice. Guarantee: no point is
    stored without its name."""
    running = await start(limits=replace(FAST, max_metrics_per_run=3))
    first, second = Client(running), Client(running)
    places = [binding(0), binding(1)]
    for client, place in zip((first, second), places, strict=True):
        await client.hello(place)
    await first.send(plain(1, 3))
    await first.acked(3)
    fits, wide = plain(1, 3), plain(4, 6)
    fits.plain.metrics[0] = "third"
    wide.plain.metrics[0] = "fourth"
    again = plain(7, 9)
    again.plain.metrics[0] = "fourth"
    await second.send(fits, wide, again, plain(10, 12))
    await second.close()
    await first.close()
    assert [reject[1:3] for reject in running.store.rejects] == [(4, 6), (7, 9)]
    running.store.assert_exactly_once(places[1].writer, 12)


async def test_a_columnar_batch_with_too_many_names_ends_its_stream(start: Start) -> None:
    """Later ones mean its names by numbers, so they must come again."""
    running = await start(limits=replace(FAST, max_metrics_per_run=3))
    first, second = Client(running), Client(running)
    places = [binding(0), binding(1)]
    for client, place in zip((first, second), places, strict=True):
        await client.hello(place)
    wide = plain(1, 3)
    wide.plain.metrics[:] = ["third", "fourth"]
    await first.send(wide)
    await first.acked(3)
    await second.send(columnar(1, 3))
    code, said = await second.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "with the names in it" in said
    assert [reject[1:3] for reject in running.store.rejects] == [(1, 3)]


async def test_names_of_a_batch_that_is_stored_already_are_stored(start: Start) -> None:
    """Scenario: a batch was put aside undecoded, and a client sends it again for its names."""
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)
    nameless = plain(1, 1)
    nameless.plain.metrics[0] = ""
    await client.send(nameless)
    await client.close()
    again = Client(running)
    assert (await again.hello(place, epoch=2)).committed_seq == 1
    encoder = _core.BatchEncoder()
    for seq in (1, 2):
        data = encoder.encode([(seq, seq, 1_700_000_000_000, {"loss": 1.0})])
        await again.send(ingest_pb2.Batch(first_seq=seq, last_seq=seq, columnar=bytes(data)))
    await again.close()
    running.store.assert_exactly_once(place.writer, 2)


async def test_a_panic_of_the_decoder_puts_the_batch_aside(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guarantee: the client goes on with a new stream, and nothing is acknowledged unsaid."""
    running = await start()
    place = binding()
    client = Client(running)
    await client.hello(place)

    async def panic(*batch: object) -> _core.Batch:
        raise _core.PanicException("index out of bounds")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_decode", panic)
        await client.send(plain(1, 3))
        code, said = await client.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "open a new stream" in said
    assert "a fault of the service" in running.store.rejects[0][3]
    again = Client(running)
    assert (await again.hello(place, epoch=2)).committed_seq == 3
    await again.send(plain(4, 6))
    await again.close()
    running.store.assert_exactly_once(place.writer, 6)


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
