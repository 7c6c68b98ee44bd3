"""Promise: 1,024 ranks that log the same metric at the same steps of one run never overwrite each
other: the count is the product.

STEPLINE_CLIENTS=1024 gives each of so many ranks a client and a spool of its own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import grpc

import stepline
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from tests.support.many_clients import METRICS
from tests.support.processes import ROOT
from tests.support.service import Service

RANKS, STEPS = 1_024, 5
CLIENTS = int(os.environ.get("STEPLINE_CLIENTS", "24"))


async def rank_of(channel: grpc.aio.Channel, run_id: str, rank: int) -> int:
    """Registers, says all, and ends; returns the attempt."""
    runs, writer = runs_pb2_grpc.RunsStub(channel), os.urandom(16)
    place = {"run_id": run_id, "rank": rank, "writer": writer}
    created = await runs.CreateRun(
        runs_pb2.CreateRunRequest(
            **place, launch_id=run_id, world_size=RANKS, resume=runs_pb2.RESUME_ALLOW
        )
    )
    stream = ingest_pb2_grpc.IngestStub(channel).Push()
    hello = ingest_pb2.Hello(**place, attempt=created.attempt, epoch=1, first_unacknowledged=1)
    await stream.write(ingest_pb2.PushRequest(hello=hello))
    assert (await stream.read()).HasField("welcome")
    points = [(step, metric) for step in range(STEPS) for metric in range(len(METRICS))]
    batch = ingest_pb2.Batch(
        first_seq=1,
        last_seq=STEPS,
        plain=ingest_pb2.PlainBatch(
            metrics=METRICS,
            metric=[metric for _, metric in points],
            seq=[step + 1 for step, _ in points],
            step=[step for step, _ in points],
            time_ms=[1_790_000_000_000] * len(points),
            value=[float(rank) for _ in points],
        ),
    )
    await stream.write(ingest_pb2.PushRequest(batch=batch))
    await stream.done_writing()
    while (reply := await stream.read()) is not grpc.aio.EOF:
        assert reply.HasField("ack"), reply
    await runs.FinishRun(runs_pb2.FinishRunRequest(**place, attempt=created.attempt))
    return int(created.attempt)


async def all_ranks(server: str, run_id: str) -> set[int]:
    async with grpc.aio.insecure_channel(server) as channel:
        some = asyncio.Semaphore(64)

        async def one(rank: int) -> int:
            async with some:
                return await rank_of(channel, run_id, rank)

        return set(await asyncio.gather(*(one(rank) for rank in range(RANKS))))


def test_the_count_is_the_product(service: Service, client: stepline.Client) -> None:
    run_id = "many-writers"
    assert asyncio.run(all_ranks(service.grpc, run_id)) == {1}
    check(client, run_id, RANKS)


def test_the_count_is_the_product_of_real_clients(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run_id = "many-clients"
    words = [service.grpc, str(spools), run_id, str(CLIENTS), str(STEPS)]
    command = [sys.executable, "-m", "tests.support.many_clients", *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    check(client, run_id, CLIENTS)


def check(client: stepline.Client, run_id: str, count: int) -> None:
    view = client.run(run_id)
    assert (view.info.state, view.info.attempts, view.info.world_size) == ("finished", 1, count)
    for metric in view.metrics():
        assert (metric.count, metric.ranks) == (count * STEPS, count)
    rows = client.sql(
        f"SELECT metric, step, count(), uniqExact(rank), sum(value) FROM visible_points "
        f"WHERE run = '{run_id}' GROUP BY metric, step"
    ).rows
    assert len(rows) == len(METRICS) * STEPS
    for _, _, points, ranks, total in rows:
        assert (int(points), int(ranks)) == (count, count)
        assert float(total) == sum(range(count))
