"""Batches that cannot be stored: damaged, malformed, from the future, with too many names."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import grpc
import pytest

from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.session import Session
from tests.support.memory_store import MemoryStore
from tests.support.push_streams import Client, Start
from tests.support.writers import (
    FAST,
    binding,
    columnar,
    damaged,
    plain,
    wait,
)


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


async def test_all_rejections_are_told_before_the_stream_ends_for_the_names(start: Start) -> None:
    recording = threading.Event()
    slow = [lambda: wait(recording), lambda: time.sleep(0.1)]
    running = await start(MemoryStore(before_rejects=slow), replace(FAST, max_batch_bytes=2_000))
    place = binding()
    client = Client(running)
    await client.hello(place)
    malformed = plain(1, 1)
    malformed.plain.metrics[0] = ""
    await client.send(malformed)
    while not running.process.committer.recording:
        await asyncio.sleep(0.001)
    await client.send(ingest_pb2.Batch(first_seq=2, last_seq=2, columnar=b"x" * 2_001))
    (stream,) = running.service._streams
    while stream._session is None or not stream._session.names_lost:
        await asyncio.sleep(0.001)
    recording.set()
    assert (await client.read()).rejected.first_seq == 1
    assert (await client.read()).ack.committed_seq == 1
    assert (await client.read()).rejected.first_seq == 2
    assert "names" in (await client.ended())[1]
