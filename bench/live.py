"""How long a point takes from `log()` until a watch tells it, end to end.

    python -m bench live

A trainer logs one point every PAUSE seconds through the real client and uploader to a service of
its own, which stores it with fsync; another process watches the metric through the reader. The
delay of a point is from the call of `log()` to the update that has its bucket. Beside it, from the
counters of the service, how long a batch waited there to be stored: the rest is the uploader, which
looks every 50 ms and gives a lone point 200 ms to find company, and the reading of the chart.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
import urllib.request
from multiprocessing.queues import Queue
from pathlib import Path

import stepline
from tests.support.processes import stop_uploaders
from tests.support.service import Service

POINTS, WARM_UP = 200, 10
PAUSE = 0.31
"""Not a multiple of anything that waits."""


def watch(server: str, told: Queue[tuple[int, float]]) -> None:
    """When each step is told, by the clock that all processes share."""
    with stepline.connect(server) as client, client.run("live").watch("loss", points=1_000) as seen:
        for update in seen:
            now = time.monotonic()
            for chart in update.changed:
                for step in chart.x.tolist():
                    told.put((step, now))


def main() -> int:
    context = multiprocessing.get_context("spawn")
    told: Queue[tuple[int, float]] = context.Queue()
    logged: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        spools = Path(directory) / "spools"
        with Service(Path(directory) / "store") as service:
            run = stepline.init(project="bench", run_id="live", server=service.grpc, dir=spools)
            run.log({"loss": 0.0}, step=0)
            watcher = context.Process(target=watch, args=(service.grpc, told))
            watcher.start()
            told.get()
            for step in range(1, POINTS + WARM_UP + 1):
                time.sleep(PAUSE)
                logged[step] = time.monotonic()
                run.log({"loss": 1.0 / step}, step=step)
            run.finish()
            seen: dict[int, float] = {}
            while len(seen) < len(logged):
                step, when = told.get(timeout=60)
                if step in logged:
                    seen.setdefault(step, when)
            watcher.join()
            stored = _mean_of(service.http, "stepline_ack_latency_seconds")
            stop_uploaders(spools)
    delays = sorted(seen[step] - logged[step] for step in logged if step > WARM_UP)
    p95 = delays[int(0.95 * len(delays))]
    print(f"{len(delays)} points, one every {PAUSE} s; seconds from log() to the update of a watch")
    print(
        f"p50 {statistics.median(delays):.2f}  p95 {p95:.2f}  max {delays[-1]:.2f}"
        f"   (stored {stored:.3f} s after it arrived, on average)"
    )
    print(f"p95 is {p95 / 2.0:.2f} times the 2 s that are promised")
    return 0


def _mean_of(http: str, name: str) -> float:
    """Of a histogram of the service."""
    with urllib.request.urlopen(f"http://{http}/metrics") as page:
        values = dict(
            line.rsplit(" ", 1) for line in page.read().decode().splitlines() if line[:1] != "#"
        )
    return float(values[f"{name}_sum"]) / float(values[f"{name}_count"])


if __name__ == "__main__":
    raise SystemExit(main())
