"""The bare engine: `python -m bench.read.floors DATA ROUNDS` prints medians in ms as JSON.

Each is the least that the engine does for a question of `cases`, without the service, the client,
or an answer that anybody could draw.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.read.stores import METRIC, SIZES
from stepline._core import siphash64
from stepline_ingest.store import Store, open_store

ZOOM = (400_000, 480_000)
"""Steps of the zoom: 80 to 90 a bucket, which no tier serves."""
_OF = "run = {run:UInt64} AND metric = {metric:UInt64}"
_RAW = {"optimize_use_projections": 0, "max_threads": 2}
_IN_ORDER = {"optimize_use_projections": 0, "max_threads": 1, "optimize_read_in_order": 1}

LOOK_UP = f"SELECT value FROM raw_points WHERE {_OF} AND rank = 0 AND attempt = 1 AND step = 500000"
SUM = (
    f"SELECT sum(value) FROM raw_points WHERE {_OF} AND rank = 0 AND attempt = 1 "
    f"AND step >= {ZOOM[0]} AND step < {ZOOM[1]}"
)
SCAN = (
    f"SELECT intDiv(step, {{width:UInt64}}) AS b, min(value), max(value), avg(value), count() "
    f"FROM raw_points WHERE {_OF} GROUP BY b"
)
STREAM = f"SELECT step, time, value FROM raw_points WHERE {_OF} ORDER BY step, seq"
STREAM_ALL = (
    "SELECT metric, rank, attempt, step, time, value FROM raw_points WHERE run = {run:UInt64} "
    "ORDER BY run, metric, rank, attempt, step, writer, seq"
)
NAMES = "SELECT count() FROM raw_metrics WHERE run = {run:UInt64} AND match(name, '99.$')"


def floors(store: Store, rounds: int) -> dict[str, float]:
    """Medians in ms. Every one takes its turn in every round."""

    def of(run: str) -> dict[str, int]:
        return {"run": siphash64(run), "metric": siphash64(METRIC)}

    def drained(sql: str, run: str, settings: dict[str, int]) -> None:
        params = of(run) if "metric:" in sql else {"run": siphash64(run)}
        for _ in store.stream_native(sql, params, settings):
            pass

    questions: dict[str, tuple[int, Callable[[], object]]] = {
        "look_up": (rounds, lambda: store.query(LOOK_UP, of("1M"))),
        "sum": (rounds, lambda: store.query(SUM, of("1M"))),
        "names": (rounds, lambda: store.query(NAMES, {"run": siphash64("names")})),
        "scan ranks": (3, lambda: store.query(SCAN, {**of("ranks"), "width": 10}, _RAW)),
        "stream": (3, lambda: drained(STREAM, "1M", _IN_ORDER)),
        "stream all": (2, lambda: drained(STREAM_ALL, "series", _IN_ORDER)),
    }
    there = {run for (run,) in store.query("SELECT run_id FROM raw_runs FINAL")}
    for name, steps in SIZES.items():
        if name in there:
            questions[f"scan {name}"] = (
                3,
                lambda name=name, steps=steps: store.query(  # type: ignore[misc]
                    SCAN, {**of(name), "width": steps // 1000}, _RAW
                ),
            )
    taken: dict[str, list[float]] = {name: [] for name in questions}
    for number in range(rounds + 1):
        for name, (times, ask) in questions.items():
            if number <= times:
                begun = time.perf_counter()
                ask()
                if number:
                    taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(times) * 1e3 for name, times in taken.items()}


if __name__ == "__main__":
    opened = open_store(None, Path(sys.argv[1]))
    print(json.dumps(floors(opened, int(sys.argv[2]))))
    opened.close()
