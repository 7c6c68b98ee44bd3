"""SIGTERM of a service that many writers stream to. STEPLINE_FAULT_ROUNDS makes it 1,000.

Scenario: writers have batches under way, or are about to, when the signal comes.
Guarantees: each stream ends with UNAVAILABLE and the remedy, the service with code 0; what was
acknowledged is stored, what is stored is there once, and no batch is torn.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import grpc

import stepline
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from tests.support.service import Service
from tests.support.writers import METRICS, plain

WRITERS = 1_000 if "STEPLINE_FAULT_ROUNDS" in os.environ else 50
BATCHES, ROWS = 20, 10
RUN = "drained"


@dataclass
class End:
    """How a stream ended."""

    acked: int
    code: grpc.StatusCode
    details: str


async def _stream(stub: ingest_pb2_grpc.IngestStub, rank: int, begun: asyncio.Event) -> End:
    """Sends without waiting, until the service ends it; sets BEGUN at the first ack."""
    call = stub.Push()
    writer = rank.to_bytes(16, "big")
    hello = ingest_pb2.Hello(writer=writer, run_id=RUN, attempt=1, rank=rank, epoch=1)
    acked = 0
    try:
        await call.write(ingest_pb2.PushRequest(hello=hello))
        await call.read()
        for number in range(BATCHES):
            batch = plain(number * ROWS + 1, (number + 1) * ROWS)
            await call.write(ingest_pb2.PushRequest(batch=batch))
        while True:
            reply = await call.read()
            if reply is grpc.aio.EOF:
                break
            acked = max(acked, reply.ack.committed_seq)
            begun.set()
    except (grpc.RpcError, asyncio.InvalidStateError):
        pass
    return End(acked, await call.code(), await call.details())


async def _drain(service: Service) -> list[End]:
    async with grpc.aio.insecure_channel(service.grpc) as channel:
        await runs_pb2_grpc.RunsStub(channel).CreateRun(
            runs_pb2.CreateRunRequest(
                project="p", run_id=RUN, launch_id="one", world_size=WRITERS, writer=bytes(16)
            )
        )
        begun = asyncio.Event()
        stub = ingest_pb2_grpc.IngestStub(channel)
        streams = [asyncio.create_task(_stream(stub, rank, begun)) for rank in range(WRITERS)]
        await begun.wait()
        service.signal(signal.SIGTERM)
        return await asyncio.gather(*streams)


def test_every_writer_is_told_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        ends = asyncio.run(_drain(service))
        assert service.wait() == 0
        assert {end.code for end in ends} == {grpc.StatusCode.UNAVAILABLE}
        assert any(end.acked for end in ends)
        service.start()
        with stepline.connect(service.grpc) as client:
            found = client.sql(
                "SELECT rank, max(seq), count(), uniqExact(seq, metric), uniqExact(seq) "
                "FROM raw_points GROUP BY rank"
            ).rows
    stored = {int(rank): int(last) for rank, last, *_ in found}
    for rank, end in enumerate(ends):
        assert stored.get(rank, 0) >= end.acked
    for _, last, points, different, sequences in found:
        assert last % ROWS == 0
        assert points == different == len(METRICS) * last
        assert sequences == last
