"""Durable points/s through the whole chain, against a bare insert of the same rows into the same
table.

The chain: RANKS processes call `run.log()` with METRICS metrics for STEPS steps, the uploader
sends, the service commits with fsync, until `finish()` says that nothing is left. The floor: the
very same rows, already in memory as blocks of 1,000,000 rows in the order of the table's key,
inserted into a fresh store with the same schema and settings. "Settled" adds the time until the
engine has no merge left to do. Both run on the same cores in turns; the medians of ROUNDS are
compared.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

import stepline
from bench.merges import wait_for_merges
from tests.support.processes import stop_uploaders
from tests.support.service import Service

RANKS, METRICS = 2, 100
STEPS = int(os.environ.get("BENCH_STEPS", "40000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds for the same rows."""

    durable: float
    settled: float


def train(server: str, spools: str, rank: int, start: Barrier, stored: Barrier) -> None:
    """One rank: a training loop that does nothing but log."""
    os.environ["STEPLINE_LAUNCH_ID"] = "bench"
    run = stepline.init(
        project="bench",
        run_id="bench",
        rank=rank,
        world_size=RANKS,
        server=server,
        dir=spools,
        resume="allow",
    )
    names = [f"layer/{index:03d}/norm" for index in range(METRICS)]
    rng = np.random.default_rng(rank)
    noise = rng.normal(size=(1_000, METRICS)).astype(np.float32).tolist()
    # Made beforehand: a dict of 100 floats costs the interpreter several times what log() does.
    calls = [dict(zip(names, values, strict=True)) for values in noise]
    start.wait()
    for step in range(STEPS):
        run.log(calls[step % 1_000], step=step)
    report = run.finish(timeout=600)
    if report.left:
        stored.abort()
        raise SystemExit(f"rank {rank}: {report.left} points are left: {report.error}")
    stored.wait()


def chain(folder: Path) -> Timing:
    """log() in RANKS processes until everything is stored."""
    spools = folder / "spools"
    context = multiprocessing.get_context("spawn")
    with Service(folder / "store") as service:
        start, stored = context.Barrier(RANKS + 1), context.Barrier(RANKS + 1)
        ranks = [
            context.Process(target=train, args=(service.grpc, str(spools), rank, start, stored))
            for rank in range(RANKS)
        ]
        for process in ranks:
            process.start()
        start.wait()
        began = time.perf_counter()
        stored.wait(timeout=600)
        durable = time.perf_counter() - began
        for process in ranks:
            process.join()
            if process.exitcode:
                raise SystemExit("a rank failed")
        with stepline.connect(service.grpc) as client:
            points = int(client.sql("SELECT count() FROM points").rows[0][0])
        if points != RANKS * STEPS * METRICS:
            raise SystemExit(f"{points} points are stored: some were lost or doubled")
        stop_uploaders(spools)
    # The service is gone: what it left to merge is merged by an engine of our own, and timed on.
    return Timing(durable=durable, settled=durable + wait_for_merges(folder / "store"))


def bare_insert(source: Path, target: Path) -> Timing:
    """The same rows in a process that does nothing else."""
    command = [sys.executable, "-m", "bench.floor", str(source), str(target)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return Timing(**json.loads(told))


def median(timings: list[Timing]) -> Timing:
    return Timing(
        durable=statistics.median(t.durable for t in timings),
        settled=statistics.median(t.settled for t in timings),
    )


def main() -> None:
    chains, floors = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="stepline-bench-") as name:
            folder = Path(name)
            chains.append(chain(folder))
            floors.append(bare_insert(folder / "store", folder / "floor"))
    points = RANKS * STEPS * METRICS
    ours, floor = median(chains), median(floors)
    print(f"{points:,} points of {RANKS} ranks x {METRICS} metrics, medians of {ROUNDS} rounds")
    print(f"{'':24}{'log() to stored':>18}{'bare insert':>18}{'ratio':>8}")
    for label, mine, bare in (
        ("points/s until durable", ours.durable, floor.durable),
        ("points/s, merges settled", ours.settled, floor.settled),
    ):
        print(f"{label:24}{points / mine:18,.0f}{points / bare:18,.0f}{bare / mine:8.2f}")


if __name__ == "__main__":
    main()
