"""What a call of log() costs, as a ratio to `list(d.items())` of the same dict, taken in turns.

    python bench/log_cost.py [--json] [--calls N]

Rows: p50 and p99.9 of single calls, for dicts of 1 to 10,000 metrics and other shapes; then the
quantiles and the longest of a million calls of 10 metrics beside those of a million floors; then
columns handed over as one call. Build with `maturin develop --release` first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stepline import _core


def dicts(metrics: int) -> list[dict[str, float]]:
    """Some dicts with the same keys and other values, as a training loop makes them."""
    names = [f"train/layer{i}/grad_norm" for i in range(metrics)]
    return [{name: 0.5 + i + k for i, name in enumerate(names)} for k in range(8)]


def alternating(metrics: int) -> list[dict[str, float]]:
    """Two call sites with the same first key."""
    train, val = dicts(metrics), dicts(metrics - 1)
    return [
        d if k % 2 else {**v, "val": 1.0} for k, (d, v) in enumerate(zip(train, val, strict=True))
    ]


def fresh_keys(metrics: int) -> Iterator[dict[str, float]]:
    """Keys that are made anew for each call."""
    while True:
        yield {f"train/layer{i}/grad_norm": 0.5 for i in range(metrics)}


def nested(metrics: int) -> list[dict[str, Any]]:
    """Dicts of five metrics each."""
    groups = range(metrics // 5)
    return [
        {f"layer{g}": {f"m{i}": 0.5 + i + k for i in range(5)} for g in groups} for k in range(8)
    ]


def scalars(metrics: int, kind: Callable[[float], Any]) -> list[dict[str, Any]]:
    """Values of another type than float."""
    return [{name: kind(value) for name, value in d.items()} for d in dicts(metrics)]


def items(d: dict[str, float]) -> None:
    list(d.items())


def timed(
    calls: int, sources: list[dict[str, float]], *functions: Callable[[dict[str, float]], Any]
) -> list[list[int]]:
    """Nanoseconds of each call, the functions in turns on the same dict."""
    clock = time.perf_counter_ns
    times: list[list[int]] = [[] for _ in functions]
    pairs = list(zip(functions, times, strict=True))
    for k in range(calls):
        d = sources[k % len(sources)]
        # Whoever comes second finds the dict in the cache.
        for function, taken in pairs if k // len(sources) % 2 else reversed(pairs):
            start = clock()
            function(d)
            taken.append(clock() - start)
    return times


def quantile(times: list[int], q: float, empty: int) -> int:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] - empty


def clock_cost() -> int:
    """What taking the time twice costs by itself, with an empty call between."""
    (times,) = timed(20_000, [{}], lambda d: None)
    return sorted(times)[len(times) // 2]


def measure(calls: int) -> list[dict[str, Any]]:
    root = tempfile.mkdtemp(prefix="stepline-bench-")
    rows: list[dict[str, Any]] = []
    try:
        writer = _core.Writer(root, json.dumps({"run_id": "bench"}))
        empty = clock_cost()
        shapes = [(n, "same keys", dicts(n)) for n in (1, 10, 100, 1_000, 10_000)]
        shapes.append((10, "two call sites", alternating(10)))
        shapes.append((10, "nested", nested(10)))
        shapes.append((10, "float64 scalars", scalars(10, np.float64)))
        shapes.append((10, "float32 scalars", scalars(10, np.float32)))
        shapes.append((10, "0-d arrays", scalars(10, np.asarray)))
        for n in (10, 1_000):
            made = fresh_keys(n)
            shapes.append((n, "fresh keys", [next(made) for _ in range(200)]))
        for metrics, keys, sources in shapes:
            count = max(300, min(calls, 5_000_000 // metrics))
            for d in sources[:8]:
                writer.log(d)
            floor, log = timed(count, sources, items, writer.log)
            row = {"metrics": metrics, "keys": keys, "calls": count}
            for name, q in (("p50", 0.5), ("p99.9", 0.999)):
                base, cost = quantile(floor, q, empty), quantile(log, q, empty)
                row |= {
                    f"floor_{name}_ns": base,
                    f"log_{name}_ns": cost,
                    f"ratio_{name}": cost / max(base, 1),
                }
            rows.append(row)
        rows.append(tail(writer, 10 * calls, empty))
        rows.append(columns(writer))
        writer.close()
    finally:
        shutil.rmtree(root)
    return rows


def tail(writer: _core.Writer, calls: int, empty: int) -> dict[str, Any]:
    """The longest calls of 10 metrics, and how many took over a millisecond."""
    floor, log = timed(calls, dicts(10), items, writer.log)
    row: dict[str, Any] = {"metrics": 10, "keys": "tail", "calls": calls}
    for who, times in (("floor", floor), ("log", log)):
        for name, q in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
            row[f"{who}_{name}_ns"] = quantile(times, q, empty)
        row[f"{who}_max_ns"] = max(times)
        row[f"{who}_over_1ms"] = sum(taken > 1_000_000 for taken in times)
    return row


def columns(writer: _core.Writer, points: int = 1_000_000, rounds: int = 5) -> dict[str, Any]:
    """Nanoseconds a point of `log_array`, beside copying the two columns."""
    steps: Any = np.arange(points)
    values: Any = np.random.default_rng(0).normal(size=points)
    row: dict[str, Any] = {"keys": "log_array", "points": points}
    times: dict[str, list[int]] = {"copy": [], "log": []}
    for _ in range(rounds):
        for name, body in (
            ("copy", lambda: (steps.copy(), values.copy())),
            ("log", lambda: writer.log_array("eval/loss", steps, values)),
        ):
            start = time.perf_counter_ns()
            body()
            times[name].append(time.perf_counter_ns() - start)
    for name, taken in times.items():
        row[f"{name}_ns_a_point"] = sorted(taken)[rounds // 2] / points
    return row


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=100_000)
    arguments = parser.parse_args(argv or [])
    rows = measure(arguments.calls)
    if arguments.json:
        print(json.dumps(rows))
        return 0
    print(
        f"{'metrics':>8} {'':16}{'list(d.items())':>17}{'log()':>11}{'ratio':>7}{'ratio p99.9':>13}"
    )
    *costs, longest, array = rows
    for row in costs:
        print(
            f"{row['metrics']:8,} {row['keys']:16}{row['floor_p50_ns']:14,} ns"
            f"{row['log_p50_ns']:8,} ns{row['ratio_p50']:7.2f}{row['ratio_p99.9']:13.2f}"
        )
    print(
        f"{longest['calls']:,} calls of 10 metrics   p50       p99     p99.9       longest"
        "   over 1 ms"
    )
    for who, name in (("log", "log()"), ("floor", "list(d.items())")):
        print(
            f"{name:>24}{longest[f'{who}_p50_ns']:10,} ns{longest[f'{who}_p99_ns']:7,} ns"
            f"{longest[f'{who}_p99.9_ns']:7,} ns{longest[f'{who}_max_ns'] / 1e6:11.1f} ms"
            f"{longest[f'{who}_over_1ms']:9}"
        )
    print(
        f"log_array: {array['log_ns_a_point']:.2f} ns a point, copying the two columns "
        f"{array['copy_ns_a_point']:.2f} ns"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
