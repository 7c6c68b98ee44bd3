"""What `log()` costs while the service is healthy, stopped, slow or absent; does memory stay?

    python bench/log_weather.py [--json] [--calls N] [--points N]

One process logs 10 metrics a call to four runs in turns, a call each, so that whatever else the
machine does hits all of them alike. The first has a service that answers; the second one that is
stopped (SIGSTOP); the third one behind a proxy that holds each piece of 4 KiB back for 50 ms; the
fourth none at all. Quantiles are ratios to the healthy one. Then the last run takes many points
more, and the memory of the process is read before and after. Build with `maturin develop --release`
first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import stepline
from bench.log_cost import clock_cost, dicts, quantile
from tests.support.processes import stop_uploaders
from tests.support.service import Service

_PIECE = 4 << 10
_DELAY = 0.05


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            time.sleep(_DELAY)
            target.sendall(piece)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def proxy(target: str) -> str:
    """The address of a slow way to TARGET; run as a process of its own, which shares no lock."""
    host, port = target.rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    if os.fork():
        listener.close()
        return address
    parent = os.getppid()
    listener.settimeout(1.0)
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=pair, daemon=True).start()
    os._exit(0)


@contextlib.contextmanager
def weathers(root: Path) -> Iterator[dict[str, stepline.Run]]:
    """A run in each weather."""
    with socket.socket() as taken, Service(root / "a") as healthy, Service(root / "b") as stopped:
        taken.bind(("127.0.0.1", 0))
        servers = {
            "healthy": healthy.grpc,
            "stopped": stopped.grpc,
            "slow": proxy(healthy.grpc),
            "absent": f"127.0.0.1:{taken.getsockname()[1]}",
        }
        runs = {
            name: stepline.init(project="weather", run_id=name, server=server, dir=root / name)
            for name, server in servers.items()
        }
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            yield runs
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
            for name, run in runs.items():
                run.finish(timeout=0)
                stop_uploaders(root / name)


def measure(calls: int, points: int) -> list[dict[str, Any]]:
    root = Path(tempfile.mkdtemp(prefix="stepline-bench-"))
    clock = time.perf_counter_ns
    try:
        with weathers(root) as runs:
            sources, empty = dicts(10), clock_cost()
            times: dict[str, list[int]] = {name: [] for name in runs}
            turns = [(run.log, times[name].append) for name, run in runs.items()]
            for k in range(calls):
                d = sources[k % len(sources)]
                # Whoever comes first finds the dict out of the cache.
                for log, taken in turns[k % 4 :] + turns[: k % 4]:
                    start = clock()
                    log(d)
                    taken(clock() - start)
                if k % 1_000 == 999:
                    time.sleep(0.005)  # so that the uploaders get to send
            rows: list[dict[str, Any]] = []
            for name, taken_ns in times.items():
                row: dict[str, Any] = {"weather": name, "calls": calls, "max_ns": max(taken_ns)}
                for quant, q in (("p50", 0.5), ("p99", 0.99)):
                    row[f"{quant}_ns"] = quantile(taken_ns, q, empty)
                row["state"] = runs[name].health().state
                rows.append(row)
            del times, turns
            rows.append(memory(runs["absent"], points))
            return rows
    finally:
        shutil.rmtree(root, ignore_errors=True)


def memory(run: stepline.Run, points: int) -> dict[str, Any]:
    """Private bytes of the process: those of the mapped segment belong to the page cache."""
    process, sources = psutil.Process(), dicts(10)

    def private() -> int:
        full = process.memory_full_info()
        return int(full.uss)

    for k in range(10_000):
        run.log(sources[k % 8])
    before = private()
    for k in range(points // 10):
        run.log(sources[k % 8])
    return {"points": points, "before_bytes": before, "after_bytes": private()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    arguments = parser.parse_args(argv or [])
    *rows, kept = measure(arguments.calls, arguments.points)
    if arguments.json:
        print(json.dumps([*rows, kept]))
        return 0
    healthy = rows[0]
    print(f"{'service':>10}{'p50':>12}{'p99':>12}{'p50 ratio':>11}{'p99 ratio':>11}  state")
    for row in rows:
        print(
            f"{row['weather']:>10}{row['p50_ns']:9,} ns{row['p99_ns']:9,} ns"
            f"{row['p50_ns'] / healthy['p50_ns']:11.2f}{row['p99_ns'] / healthy['p99_ns']:11.2f}"
            f"  {row['state']}"
        )
    print(
        f"memory of its own before and after {kept['points']:,} points without a service: "
        f"{kept['before_bytes'] / 2**20:.1f} and {kept['after_bytes'] / 2**20:.1f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
