"""A project that misbehaves until it is killed: `python -m loadtest.bad_neighbour HOW SERVER
INGEST_KEY READ_KEY`. What it is answered it ignores; refusals are what most of it is made to get.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc

from loadtest.tape import Tape
from stepline_ingest.gen.stepline.v1 import (
    ingest_pb2,
    ingest_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)

PROJECT = "greedy"
AT_A_TIME = 32
"""Calls or streams."""
NAMES = 100_000
RANGE = 1 << 20
"""Steps of the run that charts are asked of."""


@dataclass(frozen=True)
class Ways:
    """Channels with the keys of the project."""

    channel: grpc.aio.Channel
    ingest: list[tuple[str, str]]
    read: list[tuple[str, str]]

    async def stream(self, batches: AsyncIterator[ingest_pb2.PushRequest]) -> None:
        """A run of its own, its writer sending BATCHES; until either side ends it."""
        writer, run_id = uuid.uuid4().bytes, f"greedy-{uuid.uuid4().hex}"
        created = await runs_pb2_grpc.RunsStub(self.channel).CreateRun(
            runs_pb2.CreateRunRequest(project=PROJECT, run_id=run_id, writer=writer),
            metadata=self.ingest,
        )
        hello = ingest_pb2.Hello(
            writer=writer,
            run_id=run_id,
            attempt=created.attempt,
            epoch=1,
            first_unacknowledged=1,
        )
        window = asyncio.Semaphore(4)

        async def requests() -> AsyncIterator[ingest_pb2.PushRequest]:
            yield ingest_pb2.PushRequest(hello=hello)
            async for batch in batches:
                await window.acquire()
                yield batch

        async for _ in ingest_pb2_grpc.IngestStub(self.channel).Push(
            requests(), metadata=self.ingest
        ):
            window.release()


def _batch(first: int, last: int, **body: object) -> ingest_pb2.PushRequest:
    return ingest_pb2.PushRequest(
        batch=ingest_pb2.Batch(first_seq=first, last_seq=last, **body)  # type: ignore[arg-type]
    )


async def _endless(
    make: Callable[[int], ingest_pb2.PushRequest],
) -> AsyncIterator[ingest_pb2.PushRequest]:
    number = 0
    while True:
        yield make(number)
        number += 1


# --- the ways to be bad: each does one thing once ---


async def wrong_keys(ways: Ways) -> None:
    wrong = [("authorization", f"Bearer stepline_{uuid.uuid4().hex * 2}")]
    await runs_pb2_grpc.RunsStub(ways.channel).ListRuns(runs_pb2.ListRunsRequest(), metadata=wrong)


async def undecodable(ways: Ways) -> None:
    """Each batch is put aside for ever, as a reject record."""
    await ways.stream(_endless(lambda n: _batch(n + 1, n + 1, plain=_EMPTY_NAME)))


async def jumps(ways: Ways) -> None:
    """Each stream ends at its first batch."""
    await ways.stream(_endless(lambda n: _batch(2**40, 2**40, columnar=b"x")))


async def too_large(ways: Ways) -> None:
    await ways.stream(_endless(lambda n: _batch(n + 1, n + 1, columnar=_LARGE)))


async def big_batches(ways: Ways) -> None:
    tape = _tape()

    async def batches() -> AsyncIterator[ingest_pb2.PushRequest]:
        for number in range(len(tape)):
            yield tape.request(number, opening=number == 0)

    await ways.stream(batches())


async def many_names(ways: Ways) -> None:
    """A run with NAMES metrics, a thousand new ones a batch."""

    def make(number: int) -> ingest_pb2.PushRequest:
        names = [f"name/{number}/{index}" for index in range(1_000)]
        columns = ingest_pb2.PlainBatch(
            metrics=names,
            metric=range(1_000),
            seq=[number + 1] * 1_000,
            step=[number] * 1_000,
            time_ms=[1_700_000_000_000] * 1_000,
            value=[1.0] * 1_000,
        )
        return _batch(number + 1, number + 1, plain=columns)

    async def batches() -> AsyncIterator[ingest_pb2.PushRequest]:
        for number in range(NAMES // 1_000):
            yield make(number)

    await ways.stream(batches())


async def heavy_sql(ways: Ways) -> None:
    request = query_pb2.SqlRequest(
        query="SELECT sum(cityHash64(number)) FROM numbers_mt(10000000000)"
    )
    async for _ in query_pb2_grpc.QueryStub(ways.channel).Sql(request, metadata=ways.read):
        pass


async def heavy_charts(ways: Ways) -> None:
    """Other bounds each time, so that no answer is kept."""
    first = int.from_bytes(os.urandom(2), "big")
    request = query_pb2.ChartRequest(
        run_ids=[f"{PROJECT}-charts"],
        metrics=[f"load/metric{index:05d}" for index in range(100)],
        points=2_000,
        start=first,
        stop=first + RANGE,
    )
    async for _ in query_pb2_grpc.QueryStub(ways.channel).Chart(request, metadata=ways.read):
        pass


_EMPTY_NAME = ingest_pb2.PlainBatch(
    metrics=[""], metric=[0], seq=[1], step=[1], time_ms=[1_700_000_000_000], value=[1.0]
)
_LARGE = bytes(5 << 20)
_TAPES: list[Tape] = []


def _tape() -> Tape:
    if not _TAPES:
        _TAPES.append(Tape(rows=1_000, metrics=100, batches=20))
    return _TAPES[0]


WAYS: dict[str, Callable[[Ways], Awaitable[None]]] = {
    way.__name__: way
    for way in (
        wrong_keys,
        undecodable,
        jumps,
        too_large,
        big_batches,
        many_names,
        heavy_sql,
        heavy_charts,
    )
}


REFUSED = frozenset({"wrong_keys", "undecodable", "jumps", "too_large"})
"""The ways that are refused. The others are allowed, and much of it."""


async def misbehave(how: str, server: str, ingest_key: str, read_key: str) -> None:
    # A stream that is refused while its generator yields leaves an error behind in grpc.aio.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    channel = grpc.aio.insecure_channel(server, options=[("grpc.max_send_message_length", -1)])
    keys = [[("authorization", f"Bearer {key}")] for key in (ingest_key, read_key)]
    ways = Ways(channel, *keys)

    async def again_and_again() -> None:
        while True:
            with contextlib.suppress(grpc.RpcError):
                await WAYS[how](ways)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(again_and_again() for _ in range(AT_A_TIME)))


if __name__ == "__main__":
    # Its own work is not the attack: the machine is the service's.
    os.nice(10)
    if sys.argv[1] == "big_batches":
        _tape()
    asyncio.run(misbehave(*sys.argv[1:5]))
