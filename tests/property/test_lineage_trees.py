"""Promise: over any tree of resumes, rewinds, forks and attempts that were brought back, every way
to read shows the points that a simple model shows, and all that was logged is there.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepline._core import siphash64
from stepline_ingest.forks import Lineages
from stepline_ingest.gen.stepline.v1 import query_pb2, runs_pb2
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.export import ExportQuery, read_export
from stepline_ingest.query.history import HistoryQuery, read_history
from stepline_ingest.query.metrics import read_metrics
from stepline_ingest.query.names import NamesQuery
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.query.series import read_extents
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs import RunsService
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from tests.support.points import Point, block
from tests.support.run_process import Context

CASES = int(os.environ.get("STEPLINE_LINEAGE_CASES", "4"))
ALL = Range(None, None)
LOSS, GPU = siphash64("loss"), siphash64("system/gpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(None, tmp_path_factory.mktemp("trees") / "data")
    yield opened
    opened.close()


@dataclass
class Run:
    """The model: `view` is what the run shows, by step; each attempt remembers what it covered."""

    run_id: str
    view: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Step -> (run, attempt) whose point is shown, of those steps that have one."""
    views: list[dict[int, tuple[str, int]]] = field(default_factory=list)
    """By attempt from 1: what the run showed while it was the newest."""
    logged: dict[int, set[int]] = field(default_factory=dict)
    """Attempt -> steps."""


@dataclass
class World:
    """Runs in a real store, and the model of them."""

    store: Store
    rng: random.Random
    prefix: str
    runs: list[Run] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        executor = ThreadPoolExecutor(2)
        self.repository = RunsRepository(SqlRunTables(self.store), executor, Limits())
        lineages = Lineages(lambda runs: read_extents(self.store, runs, {}), executor)
        self.service = RunsService(
            self.repository, Limits(), lineages=lineages, leases=Leases(60.0)
        )

    async def create(self, run_id: str, fork_from: str = "") -> int:
        reply = await self.service.CreateRun(
            runs_pb2.CreateRunRequest(
                run_id=run_id,
                launch_id=str(self.rng.getrandbits(64)),
                writer=self.rng.randbytes(16),
                resume=runs_pb2.RESUME_ALLOW,
                on_live=runs_pb2.ON_LIVE_TAKE_OVER,
                fork_from=fork_from,
            ),
            Context(),
        )
        return int(reply.attempt)

    async def grow(self) -> None:
        """One thing happens."""
        if not self.runs:
            return await self._new()
        run = self.rng.choice(self.runs)
        things = [self._fork, self._resume, self._resume, self._rewind, self._bring_back]
        number = self.rng.randrange(len(things) + 1)
        if number == len(things):
            return await self._new()
        return await things[number](run)

    async def _new(self) -> None:
        run = Run(f"{self.prefix}-{len(self.runs)}")
        await self.create(run.run_id)
        self.runs.append(run)
        run.views.append({})
        self._log(run, self.rng.randrange(-40, 40))

    async def _fork(self, parent: Run) -> None:
        if not parent.view:
            return
        step = self.rng.choice(sorted(parent.view))
        run = Run(f"{self.prefix}-{len(self.runs)}")
        await self.create(run.run_id, f"{parent.run_id}@{step}")
        self.runs.append(run)
        run.view = {s: whose for s, whose in parent.view.items() if s <= step}
        run.views.append(run.view)
        if self.rng.random() < 0.8:
            self._log(run, step + 1 + self.rng.randrange(-10, 20), told=step + 1)

    async def _resume(self, run: Run) -> None:
        await self.create(run.run_id)
        run.views.append(run.view)
        if self.rng.random() < 0.8:
            self._log(run, self.rng.randrange(-60, 200))

    async def _rewind(self, run: Run) -> None:
        if not run.view:
            return
        step = self.rng.choice(sorted(run.view)) + self.rng.choice([0, 0, 500])
        await self.create(run.run_id, f"{run.run_id}@{step}")
        run.view = {s: whose for s, whose in run.view.items() if s <= step}
        run.views.append(run.view)
        if self.rng.random() < 0.7:
            self._log(run, step + 1 + self.rng.randrange(-10, 10), told=step + 1)

    async def _bring_back(self, run: Run) -> None:
        attempt = self.rng.randrange(len(run.views)) + 1
        step = self.rng.choice([None, self.rng.randrange(-60, 200)])
        await self.service.BringBack(
            runs_pb2.BringBackRequest(run_id=run.run_id, attempt=attempt, step=step), Context()
        )
        kept = {s: w for s, w in run.view.items() if step is not None and s < step}
        back = {s: w for s, w in run.views[attempt - 1].items() if step is None or s >= step}
        run.view = kept | back
        # It is the newest attempt all the same that goes on; it begins nothing.

    def _log(self, run: Run, begin: int, told: int | None = None) -> None:
        """The newest attempt logs; once, so that it begins where it begins."""
        attempt = len(run.views)
        steps = {begin + i for i in range(self.rng.randrange(1, 300)) if self.rng.random() < 0.8}
        steps.add(begin)
        run.logged[attempt] = steps
        first = min(begin, told) if told is not None else begin
        below = {s: w for s, w in run.view.items() if s < first}
        run.view = below | dict.fromkeys(steps, (run.run_id, attempt))
        run.views[attempt - 1] = run.view
        fixed = {"run": siphash64(run.run_id), "attempt": attempt, "writer": attempt}
        for seq, step in enumerate(sorted(steps), 1):
            value = float(siphash64(f"{run.run_id} {attempt} {step}") % 1_000)
            self.points.append(Point(metric=LOSS, step=step, value=value, seq=seq, **fixed))
        self.points.append(Point(metric=GPU, step=-(10**6), value=1.0, seq=10_000, **fixed))

    def save(self) -> None:
        self.rng.shuffle(self.points)
        for number in range(3):
            part = self.points[number::3]
            if part:
                token = f"{self.prefix}-{number}-{self.rng.getrandbits(64)}"
                self.store.insert_points([block(part)], rows=len(part), token=token)
        names = [
            (siphash64(run.run_id), metric, name, 0)
            for run in self.runs
            for name, metric in (("loss", LOSS), ("system/gpu", GPU))
        ]
        self.store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), names)


def expected(run: Run) -> list[tuple[int, float]]:
    return [
        (step, float(siphash64(f"{whose} {attempt} {step}") % 1_000))
        for step, (whose, attempt) in sorted(run.view.items())
    ]


def floats(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


def longs(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 8}q", data)


def summary(told: query_pb2.Metric) -> tuple[float, ...]:
    ends = (told.first_step, told.last_step, told.first_value, told.last_value)
    extremes = (told.min, told.min_step, told.max, told.max_step)
    return (told.count, *ends, *extremes, round(told.mean * told.count))


def model_summary(shown: list[tuple[int, float]]) -> tuple[float, ...]:
    (first, first_value), (last, last_value) = shown[0], shown[-1]
    (min_step, low), (max_step, high) = (
        min(shown, key=lambda point: (sign * point[1], point[0])) for sign in (1, -1)
    )
    total = sum(value for _, value in shown)
    extremes = (low, min_step, high, max_step)
    return (len(shown), first, last, first_value, last_value, *extremes, round(total))


def check(world: World, descents: dict[str, Descent]) -> None:
    store = world.store
    for run in world.runs:
        shown, descent = expected(run), descents[run.run_id]
        history: list[tuple[int, float]] = []
        for chunk in read_history(store, HistoryQuery(run.run_id, "loss", 0, ALL), descent, {}):
            history += zip(longs(chunk.step), floats(chunk.value), strict=True)
        assert history == shown, run
        exported: list[tuple[int, float]] = []
        for chunk in read_export(
            store, ExportQuery(run.run_id, ("loss",), (), ALL, False, None), descent, {}
        ):
            exported += zip(longs(chunk.step), floats(chunk.value), strict=True)
        assert sorted(exported) == shown, run
        sql = store.query(
            "SELECT step, value FROM visible_points WHERE run = {run:String} AND metric = 'loss' "
            "ORDER BY step",
            {"run": run.run_id},
        )
        assert sql == shown, run
        found = read_metrics(store, NamesQuery(), [descent], {}).metrics
        told = [metric for metric in found if metric.name == "loss"]
        assert [summary(metric) for metric in told] == ([model_summary(shown)] if shown else []), (
            run
        )
        stored = store.query(
            "SELECT count() FROM raw_points WHERE run = {run:UInt64} AND metric = {metric:UInt64}",
            {"run": siphash64(run.run_id), "metric": LOSS},
        )
        assert stored == [(sum(map(len, run.logged.values())),)], "nothing is lost or copied"
    query = ChartQuery(tuple(descents), ("loss",), 20, ALL, Ranks.BAND, 0)
    lines = {line.run_id: line for line in read_chart(store, query, descents, {})}
    for run in world.runs:
        line, shown = lines[run.run_id], expected(run)
        ends = [*longs(line.x)[1:], 2**63]
        counts = [
            sum(x <= step < end for step, _ in shown)
            for x, end in zip(longs(line.x), ends, strict=True)
        ]
        assert list(longs(line.count)) == counts, run


@settings(max_examples=CASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_random_trees(store: Store, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rng = random.Random(seed)

    async def tell() -> tuple[World, dict[str, Descent]]:
        world = World(store, rng, f"t{seed}-{rng.getrandbits(32)}")
        for _ in range(rng.randrange(2, 14)):
            await world.grow()
            # What a fork sees is what was stored when it was made.
            world.save()
            world.points.clear()
        descents = {}
        for run in world.runs:
            # As a service that starts anew reads it.
            (found,) = SqlRunTables(store).load([run.run_id])
            descents[run.run_id] = found.descent
        return world, descents

    world, descents = asyncio.run(tell())
    if rng.random() < 0.5:
        build_rollups(store)
    tier = rng.choice([None, True, False])
    if tier is not None:
        monkeypatch.setattr("stepline_ingest.query.plan.RAW_POINTS", -1 if tier else 2**64)
        monkeypatch.setattr("stepline_ingest.query.plan.POINTS_PER_CELL", 0)
        monkeypatch.setattr("stepline_ingest.query.cut_summaries.FEW_POINTS", -1 if tier else 2**64)
    check(world, descents)
    monkeypatch.undo()
