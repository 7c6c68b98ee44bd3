"""What forks and heartbeats cost.

`python -m bench.lineage --steps 100000000` prints: CreateRun of a fork of a run with so many steps
beside CreateRun of a new run, and how much the points of the store grew; the chart of the fork, and
the list of its metrics, beside those of the run; and what the heartbeats of 2,000 idle writers take
of a core, on one host and on 250.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stepline._core import siphash64
from stepline_ingest.forks import Lineages
from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.leases import Leases
from stepline_ingest.limits import Limits
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.metrics import read_metrics
from stepline_ingest.query.names import NamesQuery
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.query.series import read_extents
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs import RunsService
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store

ROUNDS = 15
WRITERS = 2_000
PART = 5_000_000


class Refused(Exception):
    """The service said no."""


class Context:
    """Of a call without a network."""

    async def abort(self, code: Any, details: str = "", trailing: Any = ()) -> None:
        raise Refused(f"{code}: {details}")


def fill(store: Store, steps: int) -> None:
    """One series of STEPS points in several parts, with their rollups."""
    for begin in range(0, steps, PART):
        count = min(PART, steps - begin)
        store.command(
            "INSERT INTO raw_points "
            "(run, metric, rank, attempt, step, time, value, writer, seq, received) "
            f"SELECT {siphash64('parent')}, {siphash64('loss')}, 0, 1, {begin} + number, "
            f"{begin} + number, sin(number), 1, {begin} + number + 1, toDateTime(1790000000) "
            f"FROM numbers({count})"
        )
    build_rollups(store)
    names = [(siphash64("parent"), siphash64("loss"), "loss", 0)]
    store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), names)


def points_bytes(store: Store) -> int:
    sql = (
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'raw_points' "
        "AND database = currentDatabase()"
    )
    ((size,),) = store.query(sql)
    return int(str(size))


async def timed(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds, and those of processor time, with what the engine does meanwhile."""
    begun, worked = time.perf_counter(), time.process_time()
    await call()
    return 1_000 * (time.perf_counter() - begun), 1_000 * (time.process_time() - worked)


def told(times: Sequence[tuple[float, float]]) -> str:
    took, worked = zip(*times, strict=True)
    return (
        f"p50 {statistics.median(took):.1f} ms, least {min(took):.1f} ms, max {max(took):.1f} ms "
        f"({statistics.median(worked):.1f} ms of processor time)"
    )


async def measure(store: Store, steps: int) -> None:
    executor = ThreadPoolExecutor(4)
    runs = RunsRepository(SqlRunTables(store), executor, Limits())
    lineages = Lineages(lambda found: read_extents(store, found, {}), executor)
    service = RunsService(runs, Limits(), lineages=lineages, leases=Leases(60.0))

    async def create(run_id: str, fork_from: str = "") -> None:
        request = runs_pb2.CreateRunRequest(
            run_id=run_id, launch_id=run_id, writer=os.urandom(16), fork_from=fork_from
        )
        await service.CreateRun(request, Context())

    await create("parent")
    before = points_bytes(store)
    plain, forks = [], []
    for number in range(ROUNDS):
        step = steps * (number + 1) // (ROUNDS + 1)
        plain.append(await timed(lambda n=number: create(f"plain-{n}")))  # type: ignore[misc]
        forks.append(
            await timed(
                lambda n=number, s=step: create(f"fork-{n}", f"parent@{s}")  # type: ignore[misc]
            )
        )
    print(
        f"fork of {steps:,} steps: {told(forks)}; a new run: {told(plain)}; the points of the "
        f"store grew by {points_bytes(store) - before} bytes"
    )
    charts(store, runs, [f"fork-{number}" for number in range(ROUNDS)])
    await heartbeats(service)


def charts(store: Store, runs: RunsRepository, forks: list[str]) -> None:
    tables = SqlRunTables(store)
    descents = {run.run_id: run.descent for run in tables.load(["parent", *forks])}

    def chart(*run_ids: str) -> float:
        query = ChartQuery(run_ids, ("loss",), 1_000, Range(None, None), Ranks.BAND, 0)
        begun = time.perf_counter()
        assert all(line.rows for line in read_chart(store, query, descents, {}))
        return 1_000 * (time.perf_counter() - begun)

    chart("parent")
    own = [chart("parent") for _ in range(ROUNDS)]
    other = [chart(fork) for fork in forks]
    both = [chart("parent", *forks) for _ in range(3)]

    def metrics(run_id: str) -> float:
        begun = time.perf_counter()
        assert read_metrics(store, NamesQuery(), [descents[run_id]], {}).metrics
        return 1_000 * (time.perf_counter() - begun)

    whole = [metrics("parent") for _ in forks]
    cut = [metrics(fork) for fork in forks]
    print(
        f"statistics of the run: p50 {statistics.median(whole):.1f} ms; of a fork of it: "
        f"{statistics.median(cut):.1f} ms"
    )
    print(
        f"chart of the run: p50 {statistics.median(own):.1f} ms; of a fork of it, first look: "
        f"{statistics.median(other):.1f} ms; of the run and {len(forks)} forks: "
        f"{statistics.median(both):.1f} ms"
    )


async def heartbeats(service: RunsService) -> None:
    for hosts in (1, 250):
        runs = [f"beat-{hosts}-{number}" for number in range(WRITERS)]
        for run_id in runs:
            service.attempts._leases.grant(run_id, 1, "default")
            service.attempts._signs.began((run_id, 1), 0, world_size=1)
        calls = [
            runs_pb2.HeartbeatRequest(
                signs=[
                    runs_pb2.SignOfLife(run_id=r, attempt=1, ranks=[0]) for r in runs[host::hosts]
                ]
            ).SerializeToString()
            for host in range(hosts)
        ]
        begun = time.process_time()
        for _ in range(10):
            for call in calls:
                await service.Heartbeat(runs_pb2.HeartbeatRequest.FromString(call), Context())
        took = (time.process_time() - begun) / 10
        share = took / Limits().heartbeat_seconds
        print(
            f"heartbeats of {WRITERS:,} writers on {hosts} hosts: {1_000 * took:.1f} ms of "
            f"processor time each {Limits().heartbeat_seconds:.0f} s without the network "
            f"({100 * share:.2f} % of a core, and {hosts / Limits().heartbeat_seconds:.1f} calls/s)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as folder:
        store = open_store(None, Path(folder) / "data")
        try:
            fill(store, args.steps)
            asyncio.run(measure(store, args.steps))
        finally:
            store.close()


if __name__ == "__main__":
    main()
