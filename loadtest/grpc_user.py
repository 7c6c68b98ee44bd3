"""A locust user that speaks the ingest protocol through the generated stubs.

Every batch becomes one locust request: its response time is the time from sending the batch to the
acknowledgement that covers it, its response length the number of points, so that locust's own
tables carry ack latency and points.
"""

from __future__ import annotations

import itertools
import os
import queue
import time
import uuid
from collections import deque
from collections.abc import Iterator

import grpc.experimental.gevent as grpc_gevent

grpc_gevent.init_gevent()

import grpc  # noqa: E402
from locust import User  # noqa: E402

from stepline_ingest.gen.stepline.v1 import (  # noqa: E402
    ingest_pb2,
    ingest_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)

RANKS = itertools.count()


def new_writer() -> bytes:
    """A UUIDv7: 48 bits of milliseconds, then random ones."""
    return (int(time.time() * 1000)).to_bytes(6, "big") + uuid.uuid4().bytes[6:]


class WriterUser(User):
    """One writer: one rank of the run LOAD_RUN, one Push stream."""

    abstract = True
    run_id = "load"

    def on_start(self) -> None:
        self.rank = next(RANKS)
        self.writer = new_writer()
        self.seq = 0
        self.in_flight: deque[tuple[int, int, float]] = deque()  # last seq, points, sent at
        self.outbox: queue.Queue[ingest_pb2.PushRequest | None] = queue.Queue()
        self.channel = grpc.insecure_channel(self.host)
        runs = runs_pb2_grpc.RunsStub(self.channel)
        created = runs.CreateRun(
            runs_pb2.CreateRunRequest(
                project="load",
                run_id=self.run_id,
                launch_id="load",
                resume=runs_pb2.RESUME_ALLOW,
                rank=self.rank,
                world_size=int(os.environ.get("LOAD_USERS", "16")),
                writer=self.writer,
            )
        )
        hello = ingest_pb2.Hello(
            writer=self.writer,
            run_id=self.run_id,
            attempt=created.attempt,
            rank=self.rank,
            epoch=1,
            first_unacknowledged=1,
        )
        self.outbox.put(ingest_pb2.PushRequest(hello=hello))
        ingest = ingest_pb2_grpc.IngestStub(self.channel)
        self.replies = ingest.Push(iter(self.outbox.get, None))
        self.window = next(self.replies).welcome.window_batches

    def push(self, batch: ingest_pb2.Batch, points: int) -> None:
        """Sends one batch; waits for an acknowledgement first when the window is full."""
        while len(self.in_flight) >= self.window:
            self.receive()
        self.in_flight.append((batch.last_seq, points, time.perf_counter()))
        self.outbox.put(ingest_pb2.PushRequest(batch=batch))

    def receive(self) -> None:
        """Takes one reply and reports every batch that it settles."""
        reply = next(self.replies)
        now = time.perf_counter()
        rejected = reply.WhichOneof("kind") == "rejected"
        settled = reply.rejected.last_seq if rejected else reply.ack.committed_seq
        while self.in_flight and self.in_flight[0][0] <= settled:
            _, points, sent = self.in_flight.popleft()
            self.environment.events.request.fire(
                request_type="Push",
                name="batch to ack",
                response_time=(now - sent) * 1000,
                response_length=points,
                exception=RuntimeError(reply.rejected.reason) if rejected else None,
                context={},
            )

    def on_stop(self) -> None:
        while self.in_flight:
            self.receive()
        self.outbox.put(None)
        self.channel.close()


def records(
    first_seq: int, rows: int, names: list[str]
) -> Iterator[tuple[int, int, int, dict[str, float]]]:
    """Rows as a training loop logs them: the same names at every step, values with float32
    noise."""
    now = int(time.time() * 1000)
    for seq in range(first_seq, first_seq + rows):
        noise = (seq * 2654435761) % 2**24 / 2**24
        yield seq, seq, now, {name: noise + index for index, name in enumerate(names)}
