"""SIGTERM of a service that many writers stream to. STEPLINE_FAULT_ROUNDS makes it 1,000.

Scenario: writers have batches under way, or are about to, when the signal comes.
Guarantees: each stream ends with UNAVAILABLE and the remedy, the service with code 0; what was
acknowledged is stored, what is stored is there once, and no batch is torn.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


def _stream(stub: ingest_pb2_grpc.IngestStub, rank: int, begun: threading.Event) -> End:
    """Sends without waiting, until the service ends it; sets BEGUN at the first ack."""
    welcome, over = threading.Event(), threading.Event()

    def requests() -> Iterator[ingest_pb2.PushRequest]:
        writer = rank.to_bytes(16, "big")
        hello = ingest_pb2.Hello(writer=writer, run_id=RUN, attempt=1, rank=rank, epoch=1)
        yield ingest_pb2.PushRequest(hello=hello)
        welcome.wait()
        for number in range(BATCHES):
            batch = plain(number * ROWS + 1, (number + 1) * ROWS)
            yield ingest_pb2.PushRequest(batch=batch)
        over.wait()

    acked = 0
    try:
        for reply in stub.Push(requests()):
            welcome.set()
            if reply.HasField("ack"):
                acked = max(acked, reply.ack.committed_seq)
                begun.set()
    except grpc.RpcError as error:
        return End(acked, error.code(), error.details() or "")
    finally:
        over.set()
        welcome.set()
    return End(acked, grpc.StatusCode.OK, "")


def _drain(service: Service) -> list[End]:
    # Not grpc.aio: of a stream that ended in the middle of a write it says INTERNAL, whatever the
    # service said.
    with grpc.insecure_channel(service.grpc) as channel, ThreadPoolExecutor(WRITERS) as threads:
        runs_pb2_grpc.RunsStub(channel).CreateRun(
            runs_pb2.CreateRunRequest(
                project="p", run_id=RUN, launch_id="one", world_size=WRITERS, writer=bytes(16)
            )
        )
        begun = threading.Event()
        stub = ingest_pb2_grpc.IngestStub(channel)
        streams = [threads.submit(_stream, stub, rank, begun) for rank in range(WRITERS)]
        begun.wait()
        service.signal(signal.SIGTERM)
        return [stream.result() for stream in streams]


def test_every_writer_is_told_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        ends = _drain(service)
        assert service.wait() == 0
        assert {end.code for end in ends} == {grpc.StatusCode.UNAVAILABLE}, ends
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
