"""The service Query over a store, without the rest of the server."""

from __future__ import annotations

import asyncio
import dataclasses
import struct
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc

from stepline._core import siphash64
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.gen.stepline.v1 import query_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query import QueryService
from stepline_ingest.schema.upkeep import build_rollups
from tests.support.points import Point, block

CREATED = 1_000
"""When the runs of these tests began, in milliseconds."""


class Runs:
    """What the service needs of RunsRepository."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.descents: dict[str, Descent] = {}
        """Of the runs that were not only resumed."""

    def lock(self, run_id: str) -> asyncio.Lock:
        return asyncio.Lock()

    async def preload(self, run_ids: Sequence[str]) -> None:
        """They are all at hand."""

    async def require(self, run_id: str) -> SimpleNamespace:
        if run_id not in self.known:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"run {run_id} is not known here")
        descent = self.descents.get(run_id)
        if descent is None:
            numbers = range(1, self.known[run_id] + 1)
            descent = Descent.of_attempts(siphash64(run_id), numbers)
        config = self.configs.get(run_id, {})
        texts = dict.fromkeys(("project", "name", "group", "job_type"), "")
        return SimpleNamespace(
            run_id=run_id,
            descent=descent,
            created_ms=CREATED,
            updated_ms=CREATED,
            version=1,
            state="running",
            config=config,
            tags=[],
            **texts,
        )


class Harness:
    def __init__(self, store, runs: Runs, stub) -> None:
        self.store, self.runs, self.stub = store, runs, stub
        self._seq = 0

    def put(self, run: str, metric: str, values: dict[int, float], **fixed: int) -> None:
        """Stores VALUES, by step."""
        points = []
        for step, value in values.items():
            self._seq += 1
            points.append(
                Point(
                    run=siphash64(run),
                    metric=siphash64(metric),
                    step=step,
                    value=value,
                    seq=self._seq,
                    **fixed,
                )
            )
        self._store(run, metric, points)

    def _store(self, run: str, metric: str, points: list[Point]) -> None:
        self.store.insert_points([block(points)], rows=len(points), token=f"t{self._seq}")
        self.store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name", "first_seen"),
            [(siphash64(run), siphash64(metric), metric, 0)],
        )
        newest = max(point.attempt for point in points)
        self.runs.known[run] = max(self.runs.known.get(run, 1), newest)

    def put_many(self, run: str, metric: str, points: list[Point], **fixed: int) -> None:
        """Stores POINTS, which give step, value and time, in one part with its rollups."""
        made = []
        for point in points:
            self._seq += 1
            ids = {"run": siphash64(run), "metric": siphash64(metric), "seq": self._seq}
            made.append(dataclasses.replace(point, **ids, **fixed))
        self._store(run, metric, made)
        build_rollups(self.store)

    async def chart(self, **request) -> list[pb.ChartLine]:
        return [line async for line in self.stub.Chart(pb.ChartRequest(**request))]

    async def history(self, **request) -> tuple[list[int], list[float]]:
        steps: list[int] = []
        values: list[float] = []
        async for chunk in self.stub.History(pb.HistoryRequest(**request)):
            assert len(chunk.time_ms) == 8 * chunk.rows
            steps += struct.unpack(f"<{chunk.rows}q", chunk.step)
            values += struct.unpack(f"<{chunk.rows}d", chunk.value)
        return steps, values

    async def export(self, **request) -> list[tuple]:
        """(metric, rank, attempt, step, value), in the order that it came."""
        return [row async for _, rows in self.export_chunks(**request) for row in rows]

    async def export_chunks(self, **request) -> AsyncIterator[tuple[bytes, list[tuple]]]:
        async for chunk in self.stub.Export(pb.ExportRequest(**request)):
            count = sum(part.rows for part in chunk.slices)
            assert len(chunk.time_ms) == 8 * count
            points = zip(
                struct.unpack(f"<{count}q", chunk.step),
                struct.unpack(f"<{count}d", chunk.value),
                strict=True,
            )
            yield (
                chunk.cursor,
                [
                    (part.metric, part.rank, part.attempt, *next(points))
                    for part in chunk.slices
                    for _ in range(part.rows)
                ],
            )

    async def sql(self, query: str, fmt: str = "") -> bytes:
        request = pb.SqlRequest(query=query, format=fmt)
        return b"".join([chunk.data async for chunk in self.stub.Sql(request)])


@asynccontextmanager
async def serving(store) -> AsyncIterator[Harness]:
    """Until the end of the block."""
    runs = Runs()
    server = grpc.aio.server()
    with ThreadPoolExecutor(4) as executor:
        servicer = QueryService(store, runs, Limits(), executor)
        query_pb2_grpc.add_QueryServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Harness(store, runs, query_pb2_grpc.QueryStub(channel))
        await server.stop(0)
