"""Locust users that speak the protocol through the generated stubs.

Every batch becomes one locust request: its response time is the time from sending the batch to the
acknowledgement that covers it. A second entry, "points", counts the same by the point, so that
locust's own requests per second are points per second and its percentiles those of a point.
"""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections import deque
from typing import Any

import grpc.experimental.gevent as grpc_gevent

grpc_gevent.init_gevent()

import gevent  # noqa: E402
import grpc  # noqa: E402
from gevent.event import Event  # noqa: E402
from gevent.queue import SimpleQueue  # noqa: E402
from locust import User  # noqa: E402

from loadtest.audit import Expected  # noqa: E402
from loadtest.tape import Tape  # noqa: E402
from stepline_ingest.gen.stepline.v1 import (  # noqa: E402
    ingest_pb2,
    ingest_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)

RUN_ID = os.environ.get("LOAD_RUN_ID", "load")
RANKS = itertools.count()
SETTLE_SECONDS = 60.0
"""How long a user that stops waits for what is under way."""
WORLD_SIZE = 1_000_000
"""More than there will be: a user that goes on as another writer takes another rank."""
PAUSE = 0.2
"""Seconds before a stream that broke is opened again."""


def new_writer() -> bytes:
    """A UUIDv7: 48 bits of milliseconds, then random ones."""
    return (int(time.time() * 1000)).to_bytes(6, "big") + uuid.uuid4().bytes[6:]


def count_points(entry: Any, points: int, milliseconds: float) -> None:
    """What `StatsEntry.log` does for one request, for POINTS of them at once; ENTRY is one, whose
    annotations say int where locust puts floats."""
    rounded = round(milliseconds) if milliseconds < 1000 else round(milliseconds / 100) * 100
    now = int(time.time())
    entry.num_requests += points
    entry.num_reqs_per_sec[now] = entry.num_reqs_per_sec.get(now, 0) + points
    entry.last_request_timestamp = time.time()
    entry.total_response_time += milliseconds * points
    entry.response_times[rounded] = entry.response_times.get(rounded, 0) + points
    least = entry.min_response_time
    entry.min_response_time = milliseconds if least is None else min(least, milliseconds)
    entry.max_response_time = max(entry.max_response_time, milliseconds)


def _address(user: User) -> str:
    assert user.host is not None, "locust was started without --host"
    return user.host


class WriterUser(User):
    """One writer at a time: one rank of the run, one Push stream, which plays `tape` from its
    beginning to its end; then the next writer."""

    abstract = True
    tape: Tape
    ack_pause = 0.0
    settled_writers: list[Expected]
    """Shared by all users: every writer, with the rows that were acknowledged."""

    def on_start(self) -> None:
        self.channel = grpc.insecure_channel(
            _address(self), options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._begin_writer()

    # --- sending ---

    def push(self) -> None:
        """Sends the next batch, as soon as the window has room."""
        if self.sent == len(self.tape):
            self._end_writer()
            self._begin_writer()
        while self.broken or len(self.in_flight) >= self.window:
            self._wait(1.0)
        self.in_flight.append((self.sent, time.perf_counter()))
        self._transmit(self.sent)
        self.sent += 1

    def drop_stream(self) -> None:
        """Cuts the stream in the middle of whatever is under way; goes on with a new one."""
        if not self.broken:
            self.call.cancel()
            self.reading.join()
            self._open_stream()

    def on_stop(self) -> None:
        self._end_writer()
        self.channel.close()

    # --- a writer, a stream ---

    def _begin_writer(self) -> None:
        self.rank, self.writer, self.epoch = next(RANKS), new_writer(), 0
        self.sent = self.acknowledged = 0
        self.in_flight: deque[tuple[int, float]] = deque()  # number of the batch, when it was sent
        created = runs_pb2_grpc.RunsStub(self.channel).CreateRun(
            runs_pb2.CreateRunRequest(
                project="load",
                run_id=RUN_ID,
                launch_id=RUN_ID,
                resume=runs_pb2.RESUME_ALLOW,
                rank=self.rank,
                world_size=WORLD_SIZE,
                writer=self.writer,
            )
        )
        self.attempt = created.attempt
        self._open_stream()

    def _open_stream(self) -> None:
        """Hello, Welcome; what was sent before and is not stored is sent again."""
        self.epoch += 1
        self.opening = True
        self.progress = Event()
        self.outbox: SimpleQueue[ingest_pb2.PushRequest | None] = SimpleQueue()
        self.outbox.put(
            ingest_pb2.PushRequest(
                hello=ingest_pb2.Hello(
                    writer=self.writer,
                    run_id=RUN_ID,
                    attempt=self.attempt,
                    rank=self.rank,
                    epoch=self.epoch,
                    first_unacknowledged=self.acknowledged + 1,
                )
            )
        )
        self.call = ingest_pb2_grpc.IngestStub(self.channel).Push(iter(self.outbox.get, None))
        try:
            welcome = next(self.call).welcome
        except grpc.RpcError as error:
            self._failed(error)
            self.broken = True
            return
        self.broken = False
        largest = self.tape.request(0, opening=True).ByteSize()
        self.window = max(1, min(welcome.window_batches, welcome.window_bytes // largest))
        self._settle(welcome.committed_seq)
        for number, _ in self.in_flight:
            self._transmit(number)
        self.reading = gevent.spawn(self._read, self.call)

    def _transmit(self, number: int) -> None:
        self.outbox.put(self.tape.request(number, opening=self.opening))
        self.opening = False

    def _end_writer(self) -> None:
        end = time.monotonic() + SETTLE_SECONDS
        while self.in_flight and time.monotonic() < end:
            self._wait(0.5)
        self.outbox.put(None)
        self.settled_writers.append(
            Expected(rank=self.rank, rows=self.acknowledged, metrics=self.tape.metrics)
        )

    def _wait(self, seconds: float) -> None:
        """Until something was acknowledged or SECONDS have passed; mends a broken stream."""
        if self.broken:
            gevent.sleep(PAUSE)
            self._open_stream()
        else:
            self.progress.clear()
            self.progress.wait(seconds)

    # --- replies ---

    def _read(self, call: Any) -> None:
        """In a greenlet of its own, so that an acknowledgement is timed when it comes."""
        try:
            for reply in call:
                kind = reply.WhichOneof("kind")
                if kind == "rejected":
                    self._failed(RuntimeError(reply.rejected.reason))
                elif kind == "ack":
                    self._settle(reply.ack.committed_seq)
                if self.ack_pause:
                    gevent.sleep(self.ack_pause)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                self._failed(error)
                self.broken = True
        self.progress.set()

    def _settle(self, committed_seq: int) -> None:
        """Everything up to COMMITTED_SEQ is stored; says so to locust, once for each batch."""
        now = time.perf_counter()
        self.acknowledged = max(self.acknowledged, committed_seq)
        points = self.tape.points_of_batch
        by_point = self.environment.stats.get("points", "Push")
        while self.in_flight and self.tape.last_seq(self.in_flight[0][0]) <= committed_seq:
            _, sent = self.in_flight.popleft()
            milliseconds = (now - sent) * 1000
            self.environment.events.request.fire(
                request_type="Push",
                name="batch to ack",
                response_time=milliseconds,
                response_length=points,
                exception=None,
                context={},
            )
            count_points(by_point, points, milliseconds)
        self.progress.set()

    def _failed(self, error: Exception) -> None:
        self.environment.events.request.fire(
            request_type="Push",
            name="stream",
            response_time=0,
            response_length=0,
            exception=error,
            context={},
        )


class HistoryReader(User):
    """Reads a whole history, message by message, with a pause after each."""

    abstract = True
    read_pause = 0.0

    def on_start(self) -> None:
        self.channel = grpc.insecure_channel(_address(self))

    def read(self, metric: str) -> None:
        """The history of METRIC, rank 0, as far as it goes."""
        began, rows = time.perf_counter(), 0
        error: grpc.RpcError | None = None
        request = query_pb2.HistoryRequest(run_id=RUN_ID, metric=metric, rank=0)
        try:
            for chunk in query_pb2_grpc.QueryStub(self.channel).History(request):
                rows += len(chunk.step) // 8
                gevent.sleep(self.read_pause)
        except grpc.RpcError as failure:
            if failure.code() == grpc.StatusCode.NOT_FOUND:  # nobody has written yet
                gevent.sleep(PAUSE)
                return
            error = failure
        self.environment.events.request.fire(
            request_type="Query",
            name="slow history",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=rows,
            exception=error,
            context={},
        )

    def on_stop(self) -> None:
        self.channel.close()
