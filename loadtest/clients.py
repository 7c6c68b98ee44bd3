"""The real client in many processes against one service, then the audit: every point that was
logged is stored exactly once. Exit code 1 otherwise.

    python -m loadtest.clients --processes 16 --rate 1000 --seconds 10

RATE is in points/s of each process, 0 for as fast as it goes. Without --server a service of its own
is started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

import stepline
from loadtest import values
from loadtest.audit import Expected, audit
from tests.support.processes import stop_uploaders
from tests.support.service import Service

BLOCK = 256
"""Steps whose values are made at a time."""
FINISH_TIMEOUT = 300.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What each process does."""

    processes: int
    metrics: int
    rate: float
    """Points/s; 0 for as fast as it goes."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one process did."""

    rank: int
    rows: int
    left: int
    log_ns: tuple[float, float, float]
    """p50, p99 and longest call of log()."""
    logged_at: float
    """Monotonic time of the last call, equal in all processes of a machine."""


def train(
    load: Load, server: str, spools: str, run_id: str, rank: int, start: Barrier, out: Any
) -> None:
    """One rank: logs steps 1, 2, .. at the rate, then finishes."""
    os.environ["STEPLINE_LAUNCH_ID"] = run_id
    run = stepline.init(
        project="load",
        run_id=run_id,
        rank=rank,
        world_size=load.processes,
        server=server,
        dir=spools,
        resume="allow",
        system_metrics="off",  # only what is counted
    )
    names = values.names(load.metrics)
    taken: list[int] = []
    clock = time.perf_counter_ns
    interval = load.metrics / load.rate if load.rate else 0.0
    start.wait()
    began = time.monotonic()
    for step, row in enumerate(_rows(load.metrics), 1):
        metrics = dict(zip(names, row, strict=True))
        before = clock()
        run.log(metrics, step)
        taken.append(clock() - before)
        now = time.monotonic()
        if now - began >= load.seconds:
            break
        if interval and (ahead := began + step * interval - now) > 0:
            time.sleep(ahead)
    logged_at = time.monotonic()
    report = run.finish(timeout=FINISH_TIMEOUT)
    p50, p99 = np.quantile(taken, [0.5, 0.99])
    out.put(
        Done(
            rank=rank,
            rows=len(taken),
            left=report.left,
            log_ns=(float(p50), float(p99), float(max(taken))),
            logged_at=logged_at,
        )
    )


def _rows(metrics: int) -> Iterator[list[float]]:
    first = 1
    while True:
        steps = np.arange(first, first + BLOCK, dtype=np.int64)
        yield from values.matrix(steps, metrics).tolist()
        first += BLOCK


def drive(load: Load, server: str, spools: Path) -> dict[str, Any]:
    """Runs all processes; returns what came of it, `sound` being the verdict of the audit."""
    run_id = f"clients-{uuid.uuid4().hex[:8]}"
    context = multiprocessing.get_context("spawn")
    start, out = context.Barrier(load.processes + 1), context.Queue()
    ranks = [
        context.Process(target=train, args=(load, server, str(spools), run_id, rank, start, out))
        for rank in range(load.processes)
    ]
    for process in ranks:
        process.start()
    start.wait()
    began = time.monotonic()
    done: list[Done] = [out.get(timeout=load.seconds + FINISH_TIMEOUT + 60) for _ in ranks]
    stored_at = time.monotonic()
    for process in ranks:
        process.join()
    verdict = audit(
        server,
        run_id,
        [Expected(rank=d.rank, rows=d.rows, metrics=load.metrics) for d in done],
    )
    logged_at = max(d.logged_at for d in done)
    points = verdict.acknowledged
    return {
        "processes": load.processes,
        "metrics": load.metrics,
        "points": points,
        "logged_points_per_second": round(points / (logged_at - began)),
        "stored_points_per_second": round(points / (stored_at - began)),
        "seconds_behind": round(stored_at - logged_at, 2),
        "log_p50_us": round(float(np.median([d.log_ns[0] for d in done])) / 1e3, 3),
        "log_p99_us": round(max(d.log_ns[1] for d in done) / 1e3, 3),
        "log_max_us": round(max(d.log_ns[2] for d in done) / 1e3, 1),
        "sound": verdict.sound and not sum(d.left for d in done),
        "verdict": str(verdict),
    }


def main() -> int:
    args = _arguments()
    load = Load(
        processes=args.processes, metrics=args.metrics, rate=args.rate, seconds=args.seconds
    )
    with tempfile.TemporaryDirectory(prefix="stepline-load-") as name, contextlib.ExitStack() as on:
        spools = Path(name) / "spools"
        server = args.server or on.enter_context(Service(Path(name) / "store")).grpc
        try:
            result = drive(load, server, spools)
        finally:
            stop_uploaders(spools)
    if args.json:
        print(json.dumps(result))
        return 0 if result["sound"] else 1
    print(f"{load.processes} processes x {load.metrics} metrics, {load.seconds:g} s of log()")
    print(
        f"logged   {result['logged_points_per_second']:,} points/s; log() of {load.metrics} "
        f"metrics p50 {result['log_p50_us']:g} us, p99 {result['log_p99_us']:g} us"
    )
    print(
        f"stored   {result['stored_points_per_second']:,} points/s, all of it "
        f"{result['seconds_behind']:g} s after the last call"
    )
    print(result["verdict"])
    return 0 if result["sound"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.clients", description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1_000, help="points/s of each; 0: no limit")
    parser.add_argument("--metrics", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--server", help="HOST:PORT instead of a service of its own")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
