"""Durable points/s through the whole chain, against a bare insert of the same rows into the same table.

The chain: RANKS processes call `run.log()` with METRICS metrics for STEPS steps, the uploader sends, the service commits with fsync,
until `finish()` says that nothing is left. The floor: the very same rows, already in memory as blocks of 1,000,000 rows in the order
of the table's key, inserted into a fresh store with the same schema and settings. Both run on the same cores, one after the other; the
second figure of each adds the time until merges are settled.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

import stepline
from tests.support.processes import stop_uploaders
from tests.support.service import Service

RANKS, STEPS, METRICS = 2, 40_000, 100
RUN_ID = "bench"


def train(server: str, spools: str, rank: int, start: Barrier) -> None:
    """One rank: a training loop that does nothing but log."""
    run = stepline.init(
        project="bench",
        run_id=RUN_ID,
        rank=rank,
        world_size=RANKS,
        server=server,
        dir=spools,
        resume="allow",
    )
    names = [f"layer/{index:03d}/norm" for index in range(METRICS)]
    rng = np.random.default_rng(rank)
    pool = [rng.normal(size=METRICS).astype(np.float32).tolist() for _ in range(1_000)]
    start.wait()
    for step in range(STEPS):
        run.log(dict(zip(names, pool[step % 1_000], strict=True)), step=step)
    report = run.finish(timeout=600)
    if report.left:
        raise SystemExit(f"rank {rank}: {report.left} points are left: {report.error}")


def wait_for_merges(client: stepline.Client) -> None:
    """Until the engine has had nothing to merge for a second."""
    quiet = 0
    while quiet < 10:
        running = client.sql("SELECT count() FROM system.merges").rows[0][0]
        quiet = quiet + 1 if int(running) == 0 else 0
        time.sleep(0.1)


def chain(folder: Path) -> tuple[float, int, int]:
    """(seconds until all is durable, points, bytes on disk)"""
    spools = folder / "spools"
    context = multiprocessing.get_context("spawn")
    with Service(folder / "store") as service:
        start = context.Barrier(RANKS + 1)
        ranks = [
            context.Process(target=train, args=(service.grpc, str(spools), rank, start))
            for rank in range(RANKS)
        ]
        for process in ranks:
            process.start()
        start.wait()
        began = time.perf_counter()
        for process in ranks:
            process.join()
            if process.exitcode:
                raise SystemExit("a rank failed")
        seconds = time.perf_counter() - began
        with stepline.connect(service.grpc) as client:
            points = int(client.sql("SELECT count() FROM points").rows[0][0])
    stop_uploaders(spools)
    return seconds, points, 0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as name:
        folder = Path(name)
        seconds, points, _ = chain(folder)
        assert points == RANKS * STEPS * METRICS, "a point was lost or doubled"
        floor = json.loads(
            subprocess.run(
                [sys.executable, "-m", "bench.floor", str(folder / "store"), str(folder / "floor")],
                check=True,
                stdout=subprocess.PIPE,
            ).stdout
        )
    rate, floor_rate = points / seconds, points / floor["seconds"]
    print(f"{points:,} points of {RANKS} ranks x {METRICS} metrics, log() to durable")
    print(f"  end to end   {rate:12,.0f} points/s")
    print(f"  bare insert  {floor_rate:12,.0f} points/s")
    print(f"  ratio        {rate / floor_rate:12.2f}  of the bare insert (goal 0.5)")


if __name__ == "__main__":
    main()
