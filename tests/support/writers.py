"""A writer that sends plain sequences through the service's session, as a client would, without a
network."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from stepline import _core
from stepline_ingest.budget import Budget
from stepline_ingest.commit import Committer
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.names import NamesRegistry, names_are_lost
from stepline_ingest.session import Pipeline, Session
from stepline_ingest.store.errors import StoreError
from stepline_ingest.writers import Binding, Writer, Writers
from tests.support.memory_store import MemoryStore

METRICS = ("loss", "lr")

FAST = replace(Limits(), store_patience=60.0, retry_min=0.001, retry_max=0.01)
"""Limits of a service that tries again soon, and waits for longer than any test runs."""

IMPATIENT = replace(FAST, store_patience=0.2)
"""Limits of a service that sends its clients away soon."""


def columnar(first: int, last: int, metrics: Sequence[str] = METRICS) -> ingest_pb2.Batch:
    """Sequences FIRST..LAST, each with all METRICS, as one self-contained columnar batch."""
    records = [
        (
            seq,
            seq * 10,
            1_700_000_000_000 + seq,
            {name: seq + i / 4 for i, name in enumerate(metrics)},
        )
        for seq in range(first, last + 1)
    ]
    return ingest_pb2.Batch(
        first_seq=first, last_seq=last, columnar=bytes(_core.encode_batch(records))
    )


def plain(first: int, last: int, metrics: Sequence[str] = METRICS) -> ingest_pb2.Batch:
    """The same in ordinary protobuf fields."""
    batch = ingest_pb2.PlainBatch(metrics=metrics)
    for seq in range(first, last + 1):
        for i in range(len(metrics)):
            batch.metric.append(i)
            batch.seq.append(seq)
            batch.step.append(seq * 10)
            batch.time_ms.append(1_700_000_000_000 + seq)
            batch.value.append(seq + i / 4)
    return ingest_pb2.Batch(first_seq=first, last_seq=last, plain=batch)


def oversize(seq: int) -> ingest_pb2.Batch:
    """One that is larger than any limit."""
    batch = plain(seq, seq)
    batch.plain.metrics.append("x" * (FAST.max_batch_bytes + 1))
    return batch


def damaged(first: int, last: int) -> ingest_pb2.Batch:
    """A columnar batch with a byte that is not what was sent."""
    batch = columnar(first, last)
    data = bytearray(batch.columnar)
    data[-1] ^= 0x55
    batch.columnar = bytes(data)
    return batch


def wait(event: threading.Event) -> None:
    """What a store does that hangs until EVENT."""
    assert event.wait(30)


def refuse_after(event: threading.Event) -> None:
    """The same, and then it blames the data."""
    wait(event)
    raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)


@dataclass
class Stream:
    """What a stream heard. The part of PushStream that sessions and committers see."""

    stored_calls: int = 0
    rejections: list[tuple[int, int, str]] = field(default_factory=list)
    error: ServiceError | None = None
    session: Session | None = None
    writer: Writer | None = None

    def stored(self) -> None:
        self.stored_calls += 1

    def rejected(self, first_seq: int, last_seq: int, reason: str, *, nbytes: int) -> None:
        self.rejections.append((first_seq, last_seq, reason))
        session = self.session
        if session is not None and session.names_lost and last_seq >= session.received:
            self.fail(names_are_lost())

    def fail(self, error: ServiceError) -> None:
        self.error = self.error or error
        if self.session is not None:
            self.session.end()

    async def send(self, *batches: ingest_pb2.Batch) -> None:
        assert self.session is not None
        for batch in batches:
            await self.session.accept(batch)

    async def settled(self) -> None:
        assert self.writer is not None
        await asyncio.wait_for(self.writer.settled(), 30)


class Process:
    """One life of the service, over a store that outlives it."""

    def __init__(self, store: MemoryStore, limits: Limits = FAST) -> None:
        self.store = store
        self.limits = limits
        self.budget = Budget(limits.max_inflight_bytes)
        self.pool = ThreadPoolExecutor(2)
        self.committer = Committer(store, limits=limits, executor=ThreadPoolExecutor(3))
        self.writers = Writers(store.mark, settle_timeout=limits.hello_timeout)
        self.names = NamesRegistry(store.names, limit=limits.max_metrics_per_run)
        self.pipeline = Pipeline(
            limits=limits, budget=self.budget, decoders=self.pool, submit=self.committer.submit
        )

    async def __aenter__(self) -> Process:
        self.task = self.committer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.wait_for(self.committer.stop(), 30)
        assert self.budget.used == 0, "a settled service holds nothing"

    def crash(self) -> None:
        """The process is gone; an insert that runs may still take effect."""
        self.task.cancel()

    async def open(self, binding: Binding, epoch: int = 1) -> Stream:
        """What Hello does."""
        stream = Stream()
        stream.writer = await self.writers.claim(binding, epoch, stream)
        names = await self.names.open(binding.run)
        if stream.error is not None:  # a newer one came meanwhile
            self.writers.release(stream.writer, stream)
            raise stream.error
        stream.session = Session(stream.writer, names, stream, self.pipeline)
        return stream


def binding(rank: int = 0, run_id: str = "run") -> Binding:
    return Binding(
        writer=os.urandom(16), run_id=run_id, run=_core.siphash64(run_id), attempt=1, rank=rank
    )
