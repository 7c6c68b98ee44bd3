"""One life of the service of runs, over tables in memory, with a clock of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc

from stepline._core import siphash64
from stepline_ingest.forks import Lineages
from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.runs import RunsService
from stepline_ingest.runs_repository import RunsRepository
from tests.support.memory_runs import MemoryRunTables

LIMITS = replace(Limits(), max_config_bytes=2_000, max_tags=10)


class Refused(Exception):
    """What a client hears."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code


class Context:
    async def abort(self, code: grpc.StatusCode, details: str = "", trailing: Any = ()) -> None:
        raise Refused(code, details)


class Process:
    """One life of the service."""

    def __init__(self, tables: MemoryRunTables, limits: Limits = LIMITS) -> None:
        self.tables = tables
        self.repository = RunsRepository(tables, ThreadPoolExecutor(4), limits)
        self.clock = 1_000.0
        self.writers: dict[tuple[str, int, int], bytes] = {}
        """The newest of each run, attempt and rank."""
        self.logged: dict[int, dict[int, tuple[int, int]]] = {}
        """What is stored of points: run -> attempt -> first and last step."""
        executor = ThreadPoolExecutor(1)
        self.service = RunsService(
            self.repository,
            limits,
            lineages=Lineages(
                lambda runs: {run: self.logged.get(run, {}) for run in runs}, executor
            ),
            leases=Leases(60.0, lambda: self.clock),
        )

    def log(self, run_id: str, attempt: int, first: int, last: int) -> None:
        """The attempt has points from step FIRST to LAST."""
        self.logged.setdefault(siphash64(run_id), {})[attempt] = (first, last)

    async def create(self, **fields: Any) -> runs_pb2.CreateRunReply:
        filled = {"project": "p", "run_id": "r", "launch_id": "l", "world_size": 1, **fields}
        filled.setdefault("writer", os.urandom(16))
        reply = await self.service.CreateRun(runs_pb2.CreateRunRequest(**filled), Context())
        place = (filled["run_id"], reply.attempt, filled.get("rank", 0))
        self.writers[place] = filled["writer"]
        return reply

    async def update(self, **fields: Any) -> None:
        request = runs_pb2.UpdateRunRequest(**{"run_id": "r", **fields})
        await self.service.UpdateRun(request, Context())

    async def finish(
        self, rank: int = 0, exit_code: int = 0, attempt: int = 1, **fields: Any
    ) -> None:
        """By the newest writer of the rank, where FIELDS name no other."""
        filled = {"run_id": "r", **fields}
        filled.setdefault("writer", self.writers.get((filled["run_id"], attempt, rank), bytes(16)))
        request = runs_pb2.FinishRunRequest(
            **filled, attempt=attempt, rank=rank, exit_code=exit_code
        )
        await self.service.FinishRun(request, Context())

    async def run(self, run_id: str = "r") -> runs_pb2.Run:
        return (await self.service.GetRun(runs_pb2.GetRunRequest(run_id=run_id), Context())).run

    async def lineage(self, run_id: str = "r") -> runs_pb2.GetLineageReply:
        return await self.service.GetLineage(runs_pb2.GetLineageRequest(run_id=run_id), Context())

    async def shown(self, run_id: str = "r") -> list[tuple[str, int, int, int]]:
        """(run, attempt, first step, last step)"""
        segments = (await self.lineage(run_id)).segments
        return [(s.run_id, s.attempt, s.first_step, s.last_step) for s in segments]

    async def bring_back(self, attempt: int, step: int | None = None, run_id: str = "r") -> None:
        request = runs_pb2.BringBackRequest(run_id=run_id, attempt=attempt, step=step)
        await self.service.BringBack(request, Context())

    async def beat(
        self, *keys: tuple[str, int], ranks: Sequence[int] = ()
    ) -> list[tuple[str, int]]:
        signs = [
            runs_pb2.SignOfLife(run_id=run_id, attempt=attempt, ranks=ranks)
            for run_id, attempt in keys
        ]
        reply = await self.service.Heartbeat(runs_pb2.HeartbeatRequest(signs=signs), Context())
        return [(sign.run_id, sign.attempt) for sign in reply.superseded]

    async def wait(self, seconds: float) -> None:
        """SECONDS pass, in which the service looks for silent attempts now and then."""
        for _ in range(int(seconds // 10)):
            self.clock += 10
            await self.service.attempts.look()

    def restarted(self) -> Process:
        again = Process(self.tables)
        again.clock, again.logged = self.clock, self.logged
        return again
