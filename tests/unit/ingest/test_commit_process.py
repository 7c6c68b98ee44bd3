"""A real service, killed in the middle of commits, and a client that knows no more of Stepline than
its protocol."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import urllib3

from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from tests.support.servers import BACKENDS, REAL, own_database
from tests.support.service import Service

METRICS = ("loss", "lr", "norm")
SEQS = 20_000
ENDS = 3
SEQS_A_BATCH = 1_000
LATER = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,  # what gRPC says of a call that a stopping server cuts off
)


def value(seq: int, index: int) -> float:
    return seq * 4 + index + 0.25


def batch(first: int, last: int) -> ingest_pb2.Batch:
    seqs = [seq for seq in range(first, last + 1) for _ in METRICS]
    indices = [index for _ in range(first, last + 1) for index in range(len(METRICS))]
    return ingest_pb2.Batch(
        first_seq=first,
        last_seq=last,
        plain=ingest_pb2.PlainBatch(
            metrics=METRICS,
            metric=indices,
            seq=seqs,
            step=seqs,
            time_ms=[1_700_000_000_000 + seq for seq in seqs],
            value=[value(seq, index) for seq, index in zip(seqs, indices, strict=True)],
        ),
    )


@dataclass
class Sender:
    """One writer that sends until everything is acknowledged, through however many streams that
    takes."""

    address: str
    run_id: str
    rank: int
    world_size: int
    chance: random.Random
    writer: bytes = field(default_factory=lambda: os.urandom(16))
    acked: int = 0
    epoch: int = 0
    attempt: int = 0
    error: BaseException | None = None

    def run(self) -> None:
        try:
            end = time.monotonic() + 240
            while self.acked < SEQS:
                assert time.monotonic() < end, f"rank {self.rank} is stuck at {self.acked}"
                try:
                    with grpc.insecure_channel(self.address) as channel:
                        self._create(channel)
                        self._push(channel)
                except grpc.RpcError as error:
                    if error.code() not in LATER:
                        raise
                    time.sleep(0.05)
        except BaseException as error:
            self.error = error

    def _create(self, channel: grpc.Channel) -> None:
        """Repeated before every stream: it must change nothing."""
        reply = runs_pb2_grpc.RunsStub(channel).CreateRun(
            runs_pb2.CreateRunRequest(
                project="kill",
                run_id=self.run_id,
                launch_id="launch",
                rank=self.rank,
                world_size=self.world_size,
                writer=self.writer,
            ),
            timeout=60,
        )
        assert reply.attempt == 1
        self.attempt = reply.attempt

    def _push(self, channel: grpc.Channel) -> None:
        self.epoch += 1
        window = threading.Semaphore(8)
        ready = threading.Event()
        mark = [0]

        def requests() -> Iterator[ingest_pb2.PushRequest]:
            yield ingest_pb2.PushRequest(
                hello=ingest_pb2.Hello(
                    writer=self.writer,
                    run_id=self.run_id,
                    attempt=self.attempt,
                    rank=self.rank,
                    epoch=self.epoch,
                )
            )
            ready.wait(60)
            at = mark[0]
            while at < SEQS:
                # Cut anew after every restart, and overlapping what was sent.
                first = max(1, at + 1 - self.chance.choice([0, 0, 3]))
                at = min(SEQS, first + SEQS_A_BATCH - 1 + self.chance.randrange(50))
                window.acquire(timeout=60)
                yield ingest_pb2.PushRequest(batch=batch(first, at))

        for reply in ingest_pb2_grpc.IngestStub(channel).Push(requests(), timeout=120):
            kind = reply.WhichOneof("kind")
            assert kind in ("welcome", "ack"), reply
            if kind == "welcome":
                assert reply.welcome.committed_seq >= self.acked, "an ack was taken back"
                mark[0] = reply.welcome.committed_seq
                self.acked = reply.welcome.committed_seq
                ready.set()
            else:
                for _ in range((reply.ack.committed_seq - self.acked) // SEQS_A_BATCH + 1):
                    window.release()
                self.acked = reply.ack.committed_seq


def sql(service: Service, query: str) -> str:
    answer = urllib3.request("POST", f"http://{service.sql}/", body=query.encode(), timeout=60)
    assert answer.status == 200, answer.data
    return answer.data.decode()


@pytest.mark.parametrize(("seed", "end"), [(1, "SIGKILL"), (3, "SIGTERM")])
def test_an_end_in_mid_commit_loses_and_doubles_nothing(
    tmp_path: Path, seed: int, end: str
) -> None:
    ends_in_mid_commit(tmp_path, seed, end)


@pytest.mark.parametrize("server", BACKENDS[1:])
def test_neither_does_one_over_a_server(tmp_path: Path, server: str, clickhouse_url: str) -> None:
    """The INSERTs of the killed service go on at the server while its successor starts."""
    dsn = own_database(REAL if server == "clickhouse" else f"clickhouse://{clickhouse_url}")
    ends_in_mid_commit(tmp_path, 4, "SIGKILL", "--store", dsn)


def ends_in_mid_commit(tmp_path: Path, seed: int, end: str, *options: str) -> None:
    """Scenario: three writers push without a pause; the service is ended ENDS times at random
    moments, its writers resend what was not acknowledged in other cuts. Guarantee: every point is
    stored exactly once, with its value."""
    chance = random.Random(seed)
    ranks = 3
    with Service(tmp_path / "data", *options) as service:
        senders = [
            Sender(service.grpc, "killed", rank, ranks, random.Random(seed * 10 + rank))
            for rank in range(ranks)
        ]
        threads = [threading.Thread(target=sender.run) for sender in senders]
        for thread in threads:
            thread.start()
        for _ in range(ENDS):
            time.sleep(chance.uniform(0.05, 0.6))
            if end == "SIGKILL":
                service.kill()
            service.restart()  # a service that still runs ends with SIGTERM, and with code 0
        for thread in threads:
            thread.join()
        for sender in senders:
            assert sender.error is None, repr(sender.error)
        found = sql(
            service,
            "SELECT rank, metric, count(), uniqExact(step), min(step), max(step),"
            " countIf(value != step * 4 + indexOf(['loss', 'lr', 'norm'], metric) - 1 + 0.25)"
            " FROM points WHERE run = 'killed' GROUP BY rank, metric ORDER BY rank, metric",
        )
        expected = [
            f"{rank}\t{metric}\t{SEQS}\t{SEQS}\t1\t{SEQS}\t0"
            for rank in range(ranks)
            for metric in METRICS
        ]
        assert found.splitlines() == expected
        assert service.terminate() == 0
