"""Many writers in one process, at little cost: batches of a tape go out as they are.

What locust does for people, this does for the targets that need a thousand writers on the machine
of the service: no greenlet and no statistics for each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc

from loadtest.audit import Expected
from loadtest.tape import Tape
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc

WRITERS_OF_CONNECTION = 64
"""As many share one connection as ranks of a few hosts would."""
OPENED_AT_ONCE = 500
"""Of 2,000 streams that one event loop opens in one second, grpc.aio cancels some by itself."""
DEPTH = 8
"""Batches under way for each writer that sends as fast as it can; a real client has up to its whole
window, 32. With 4, sixteen writers have less under way than one group, and the service waits."""


@dataclass(kw_only=True)
class Outcome:
    """What a fleet saw."""

    began: float = 0.0
    ended: float = 0.0
    """Monotonic: the first batch sent, the last one acknowledged."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from sending a batch to its acknowledgement."""
    writers: list[Expected] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(writer.points for writer in self.writers)

    @property
    def points_per_second(self) -> float:
        return self.points / (self.ended - self.began)

    def latency_ms(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Fleet:
    """WRITERS streams to one service, with a KEY of PROJECT where it asks for one."""

    def __init__(
        self,
        server: str,
        *,
        run_id: str,
        writers: int,
        project: str = "load",
        key: str | None = None,
    ) -> None:
        self._server = server
        self._project = project
        self._metadata = [("authorization", f"Bearer {key}")] if key is not None else None
        self._run_id = run_id
        self._count = writers

    async def __aenter__(self) -> Fleet:
        connections = -(-self._count // WRITERS_OF_CONNECTION)
        self._channels = [
            grpc.aio.insecure_channel(self._server, options=[("grpc.use_local_subchannel_pool", 1)])
            for _ in range(connections)
        ]
        created = await runs_pb2_grpc.RunsStub(self._channels[0]).CreateRun(
            runs_pb2.CreateRunRequest(
                project=self._project,
                run_id=self._run_id,
                launch_id=self._run_id,
                resume=runs_pb2.RESUME_ALLOW,
                world_size=self._count,
                writer=_writer_id(0),
            ),
            metadata=self._metadata,
        )
        self._writers = [
            _Stream(
                ingest_pb2_grpc.IngestStub(self._channels[rank % connections]),
                ingest_pb2.Hello(
                    writer=_writer_id(rank),
                    run_id=self._run_id,
                    attempt=created.attempt,
                    rank=rank,
                    epoch=1,
                    first_unacknowledged=1,
                ),
                self._metadata,
            )
            for rank in range(self._count)
        ]
        for first in range(0, self._count, OPENED_AT_ONCE):
            opened = self._writers[first : first + OPENED_AT_ONCE]
            await asyncio.gather(*(writer.open() for writer in opened))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(writer.close() for writer in self._writers))
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def play(self, tape: Tape, *, interval: float = 0.0) -> Outcome:
        """Every writer sends the whole tape: a batch every INTERVAL seconds, or as fast as it is
        acknowledged. Returns when everything is."""
        outcome = Outcome(began=time.monotonic())
        await asyncio.gather(
            *(
                writer.play(tape, interval, interval * number / self._count, outcome)
                for number, writer in enumerate(self._writers)
            )
        )
        outcome.ended = time.monotonic()
        outcome.writers = [
            Expected(rank=rank, rows=writer.acknowledged, metrics=tape.metrics)
            for rank, writer in enumerate(self._writers)
        ]
        return outcome


class _Stream:
    """One writer."""

    def __init__(
        self,
        stub: ingest_pb2_grpc.IngestStub,
        hello: ingest_pb2.Hello,
        metadata: list[tuple[str, str]] | None,
    ) -> None:
        self._stub = stub
        self._metadata = metadata
        self._hello = hello
        self._outbox: asyncio.Queue[ingest_pb2.PushRequest | None] = asyncio.Queue()
        self._in_flight: deque[tuple[int, float]] = deque()
        self._progress = asyncio.Event()
        self.acknowledged = 0

    async def open(self) -> None:
        self._outbox.put_nowait(ingest_pb2.PushRequest(hello=self._hello))
        self._call = self._stub.Push(self._requests(), metadata=self._metadata)
        welcome = await self._call.read()
        self._window = welcome.welcome.window_batches
        self._reading: asyncio.Task[None] | None = None

    async def play(self, tape: Tape, interval: float, delay: float, outcome: Outcome) -> None:
        self._reading = asyncio.create_task(self._read(tape, outcome))
        self._reading.add_done_callback(lambda _: self._progress.set())
        depth = self._window if interval else min(DEPTH, self._window)
        due = time.monotonic() + delay
        for number in range(len(tape)):
            if interval:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += interval
            while len(self._in_flight) >= depth:
                await self._moved()
            self._in_flight.append((tape.last_seq(number), time.monotonic()))
            self._outbox.put_nowait(tape.request(number, opening=False))
        while self._in_flight:
            await self._moved()

    async def close(self) -> None:
        self._outbox.put_nowait(None)
        if self._reading is not None:
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
                await self._reading
        self._call.cancel()

    async def _requests(self) -> AsyncIterator[ingest_pb2.PushRequest]:
        while (request := await self._outbox.get()) is not None:
            yield request

    async def _read(self, tape: Tape, outcome: Outcome) -> None:
        while (reply := await self._call.read()) is not grpc.aio.EOF:
            if reply.WhichOneof("kind") != "ack":
                raise SystemExit(f"rank {self._hello.rank}: {reply}")
            self.acknowledged = reply.ack.committed_seq
            now = time.monotonic()
            while self._in_flight and self._in_flight[0][0] <= self.acknowledged:
                outcome.latencies.append(now - self._in_flight.popleft()[1])
            self._progress.set()

    async def _moved(self) -> None:
        assert self._reading is not None
        self._progress.clear()
        if not self._reading.done():
            await self._progress.wait()
        if self._reading.done():
            await self._reading
            raise SystemExit(f"the stream of rank {self._hello.rank} has ended: {self._call}")


def _writer_id(rank: int) -> bytes:
    return int(time.time() * 1000).to_bytes(6, "big") + rank.to_bytes(10, "big")
