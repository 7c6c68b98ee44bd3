"""The questions, through a service in a process of its own and the client; and charts once more
while something writes.

The service keeps answers that it knows. So every round asks for another number of buckets or
another range: nothing here is answered from what is kept.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import urllib3

import stepline
from bench.read.floors import ZOOM
from bench.read.stores import METRIC, SERIES, SPIKE
from tests.support.service import Service

Times = dict[str, list[float]]

CASES = {
    "chart of 1M steps": "look_up",
    "chart of 10M steps": "look_up",
    "chart of 100M steps": "look_up",
    "the same over HTTP": "look_up",
    "chart of 100 series x 100,000": "look_up",
    "band over 1,024 ranks x 10,000": "scan ranks",
    "zoom on 80,000 steps, no tier": "sum",
    "history, 1 M points": "stream",
    "export, 10 M points": "stream all",
    "search in 100,000 names": "names",
}
"""What is asked, and the bare query that it is compared with."""


def measure(service: Service, sizes: dict[str, int], rounds: int) -> Times:
    """Seconds of every case, in the order of the rounds."""
    with stepline.connect(service.grpc) as client:
        asked = _questions(service, client, sizes, rounds, itertools.count())
        taken: Times = {name: [] for name in asked}
        for number in range(rounds + 1):
            for name, (times, ask) in asked.items():
                if number <= times:
                    begun = time.perf_counter()
                    ask()
                    if number:
                        taken[name].append(time.perf_counter() - begun)
    return taken


def _questions(
    service: Service, client: Any, sizes: dict[str, int], rounds: int, fresh: Iterator[int]
) -> dict[str, tuple[int, Callable[[], object]]]:
    def chart(run: str, **more: Any) -> object:
        found = client.run(run).chart(METRIC, points=_buckets(fresh), **more)
        assert len(found.x) > 50
        return found

    def zoom(number: int) -> object:
        start, stop = (step + 97 * number for step in ZOOM)
        return chart("1M", start=start, stop=stop)

    many = [f"many/{i}" for i in range(SERIES)]
    searches = itertools.count()  # what was found is kept too
    asked: dict[str, tuple[int, Callable[[], object]]] = {
        f"chart of {name} steps": (rounds, lambda name=name: chart(name))  # type: ignore[misc]
        for name in sizes
    }
    last = list(sizes)[-1]
    asked |= {
        "the same over HTTP": (rounds, _by_http(service, last, fresh)),
        "chart of 100 series x 100,000": (
            rounds,
            lambda: client.chart(runs=["series"], metrics=many, points=_buckets(fresh)),
        ),
        "band over 1,024 ranks x 10,000": (
            rounds,
            lambda: chart("ranks", ranks="band"),
        ),
        "zoom on 80,000 steps, no tier": (rounds, lambda: zoom(next(fresh))),
        "history, 1 M points": (5, lambda: client.run("1M").history(METRIC)),
        "history, 100,000 points": (rounds, lambda: client.run("small").history(METRIC)),
        "chart of 100,000 steps": (rounds, lambda: chart("small")),
        "export, 10 M points": (
            2,
            lambda: sum(len(batch) for batch in client.run("series").points()),
        ),
        "search in 100,000 names": (
            rounds,
            lambda: client.run("names").metrics(regex=f"{10 + next(searches) % 90}.$", limit=50),
        ),
    }
    return asked


def _buckets(fresh: Iterator[int]) -> int:
    """About 1,000, which a tier serves for 100,000 steps and more. They are the same again after
    so many that no case of a round comes upon what it asked for before."""
    return 1_000 - next(fresh) % 97


def find_spikes(service: Service, sizes: dict[str, int]) -> None:
    """One point of each series is a spike: a chart shows it, at its step, from the whole series
    down to a few steps around it, whatever tier serves the zoom."""
    with stepline.connect(service.grpc) as client:
        for name, steps in sizes.items():
            place, width = steps // 3, steps
            while width > 10:
                start = max(0, place - width // 3)
                for points in (20, 300, 1_000):
                    found = client.run(name).chart(
                        METRIC, start=start, stop=start + width, points=points
                    )
                    bucket = int(found.max.argmax())
                    at = (float(found.max[bucket]), int(found.argmax[bucket]))
                    assert at == (SPIKE, place), (name, start, width, points, at)
                width //= 7


def _by_http(service: Service, run: str, fresh: Iterator[int]) -> Callable[[], object]:
    """What the dashboard does, without what the browser does."""
    asked = {"runIds": [run], "metrics": [METRIC], "ranks": {"band": True}}
    pool = urllib3.HTTPConnectionPool(*service.http.rsplit(":", 1))  # type: ignore[arg-type]

    def ask() -> object:
        message = json.dumps({**asked, "points": _buckets(fresh)})
        query = urllib.parse.urlencode({"encoding": "json", "message": message})
        answer = pool.request("GET", f"/stepline.v1.Query/Chart?{query}")
        assert answer.status == 200
        return answer.data

    return ask


def under_ingest(service: Service, run: str, rounds: int) -> dict[str, float]:
    """p50 and p99 of a chart of RUN in ms: quiet, and with points coming in at half of the top
    speed."""
    top = _written(_writer(service, rate=0, seconds=6))
    with stepline.connect(service.grpc) as client:
        view, fresh = client.run(run), itertools.count()

        def charts(until: Callable[[], bool]) -> list[float]:
            taken: list[float] = []
            while not until() or len(taken) < rounds:
                begun = time.perf_counter()
                view.chart(METRIC, points=_buckets(fresh))
                taken.append((time.perf_counter() - begun) * 1e3)
                time.sleep(0.005)
            return taken

        end = time.monotonic() + 6
        quiet = charts(lambda: time.monotonic() > end)
        writer = _writer(service, rate=top / 2, seconds=12)
        time.sleep(3)  # it has to start
        end = time.monotonic() + 8
        busy = charts(lambda: time.monotonic() > end)
        rate = _written(writer)
    return {
        "top_points_per_second": top,
        "points_per_second": rate,
        "quiet_p50": statistics.median(quiet),
        "quiet_p99": statistics.quantiles(quiet, n=100)[98],
        "busy_p50": statistics.median(busy),
        "busy_p99": statistics.quantiles(busy, n=100)[98],
    }


def _writer(service: Service, *, rate: float, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.read.ingest", service.grpc, str(rate), str(seconds)]
    folder = Path(service.data).with_name("spools")
    return subprocess.Popen(
        [*command, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _written(writer: subprocess.Popen[str]) -> float:
    """Points a second, when it is done."""
    said, _ = writer.communicate(timeout=300)
    found = re.search(r"([0-9.]+) points/s", said)
    assert found is not None, said
    return float(found[1])
