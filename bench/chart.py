"""How long charts take, from the request to the messages, against the engine's own point look-up.

    python -m bench.chart [--large] [--json]

Series of 1 M and 10 M steps and 100 series of 100,000 steps lie in a fresh embedded store, merged
as far as the engine merges by itself and with the rollups that the service's upkeep builds; with
--large also 100 M steps, 100 series of 1 M steps, and 1,024 ranks of 100,000 steps. Every case
runs in every round, so that all see the same machine; the figures are medians over the rounds, and
the look-up of the same rounds is 1.0.

Statistics of series and cells of tiers are known from a chart just before, as when a dashboard asks
for other buckets, except in "first": there everything is read as after a restart. Answers are never
taken from memory: that is done above what is measured here.
"points" reads the same chart from raw points; "grouped by the engine" does so in the engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from bench.merges import settle
from stepline._core import siphash64
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan, reader
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store

ROUNDS, SLOW_ROUNDS = 25, 3
BUCKETS = 1_000
PIECE = 1_000_000
SERIES, SERIES_STEPS = 100, 100_000
RANKS = 1_024
LIMITS = Limits().of_a_query()
RUN = "bench"
DESCENTS = {RUN: Descent.of_attempts(siphash64(RUN), [1])}

_FILL = (
    "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, received) "
    "SELECT {run}, {metric}, {rank}, 1, {step}, "
    "fromUnixTimestamp64Milli(1790000000000 + number * 100), "
    "2 / (1 + {step} / 1e4) + toFloat32(randNormal(0, 0.05)), "
    "1, number + 1, toDateTime(1790000000) "
    "FROM numbers({first}, {count})"
)
_LOOK_UP = (
    "SELECT value FROM raw_points WHERE run = {run:UInt64} AND metric = {metric:UInt64} "
    "AND rank = 0 AND attempt = 1 AND step = {step:Int64}"
)
_SUM = (
    "SELECT sum(value) FROM raw_points WHERE run = {run:UInt64} AND metric = {metric:UInt64} "
    "AND rank = 0 AND attempt = 1 AND step >= {first:Int64} AND step <= {last:Int64}"
)
LOOK_UP, SUM = "point look-up", "sum(value) over 90,000 points"
ZOOM = "a zoom of 90,000 points"
PAGE = frozenset(("min", "max", "mean", "count", "nonfinite"))
"""What a page of charts draws."""

Case = tuple[int, Callable[[], object]]
"""Rounds and function."""


def fill(store: Store, metric: str, steps: int) -> None:
    for first in range(0, steps, PIECE):
        store.command(
            _FILL.format(
                run=siphash64(RUN),
                metric=siphash64(metric),
                step="toInt64(number)",
                rank=0,
                first=first,
                count=min(PIECE, steps - first),
            )
        )


def fill_many(store: Store, group: str, steps: int) -> None:
    """Parts that hold some steps of every series, as a training job sends them."""
    names = [siphash64(f"{group}/{i}") for i in range(SERIES)]
    for first in range(0, SERIES * steps, PIECE):
        store.command(
            _FILL.format(
                run=siphash64(RUN),
                metric=f"arrayElement({names}, number % {SERIES} + 1)",
                step=f"toInt64(intDiv(number, {SERIES}))",
                rank=0,
                first=first,
                count=PIECE,
            )
        )


def fill_ranks(store: Store) -> None:
    """1,024 ranks that log the same steps."""
    for first in range(0, RANKS * SERIES_STEPS, 2 * PIECE):
        store.command(
            _FILL.format(
                run=siphash64(RUN),
                metric=siphash64("ranks"),
                step=f"toInt64(intDiv(number, {RANKS}))",
                rank=f"number % {RANKS}",
                first=first,
                count=min(2 * PIECE, RANKS * SERIES_STEPS - first),
            )
        )


def chart(store: Store, metrics: list[str], *, first: bool = False, **asked: Any) -> None:
    if first:
        store.memo.changed()
    steps = Range(asked.pop("start", None), asked.pop("stop", None))
    points, raw = asked.pop("points", BUCKETS), asked.pop("raw", False)
    query = ChartQuery((RUN,), tuple(metrics), points, steps, Ranks.BAND, 0, **asked)
    with mock.patch.object(plan, "RAW_POINTS", 2**64 if raw else plan.RAW_POINTS):
        messages = list(read_chart(store, query, DESCENTS, LIMITS))
    assert all(message.rows > 0 for message in messages)
    assert not raw or all(message.tier_width == 0 for message in messages)


def cases(store: Store, sizes: dict[str, int], *, large: bool) -> dict[str, Case]:
    def one(*metrics: str, rounds: int = ROUNDS, **asked: Any) -> Case:
        return rounds, lambda: chart(store, list(metrics), **asked)

    place = {"run": siphash64(RUN), "metric": siphash64("1 M steps")}
    zoom = {"start": 100_007, "stop": 190_007}
    within = {"first": zoom["start"], "last": zoom["stop"] - 1}
    found: dict[str, Case] = {
        LOOK_UP: (ROUNDS, lambda: list(store.stream_native(_LOOK_UP, {**place, "step": 500_000}))),
        SUM: (ROUNDS, lambda: list(store.stream_native(_SUM, {**place, **within}))),
        ZOOM: one("1 M steps", **zoom),
        f"{ZOOM}, grouped by the engine": (
            ROUNDS,
            lambda: by_engine(store, "1 M steps", zoom),
        ),
    }
    for name, steps in sizes.items():
        cut = {"start": steps // 10 + 7, "stop": steps // 10 * 9 + 7}
        found[name] = one(name)
        found[f"{name}, first"] = one(name, first=True)
        found[f"{name}, a cut of it"] = one(name, **cut)
        if steps <= 10_000_000:
            found[f"{name}, points"] = one(name, rounds=SLOW_ROUNDS, raw=True)
    many = [f"many/{i}" for i in range(SERIES)]
    for points in (BUCKETS, 100, 50):
        found[f"{SERIES} series, {points} buckets each"] = one(*many, points=points)
    found[f"{SERIES} series, min, max, mean, count"] = one(*many, columns=PAGE)
    found[f"{SERIES} series, first"] = one(*many, first=True)
    found[f"{SERIES} series, min, max, mean, count, first"] = one(*many, columns=PAGE, first=True)
    if large:
        found[f"{SERIES} series x 1 M steps"] = one(*(f"large/{i}" for i in range(SERIES)))
        found["band over 1,024 ranks x 100,000 steps"] = one("ranks", rounds=SLOW_ROUNDS)
        found["band over 1,024 ranks, first"] = one("ranks", rounds=SLOW_ROUNDS, first=True)
        found["the same, min, max, mean, count"] = one("ranks", rounds=SLOW_ROUNDS, columns=PAGE)
    return found


def by_engine(store: Store, metric: str, steps: dict[str, Any]) -> None:
    with mock.patch.object(reader, "MOST_POINTS", -1):
        chart(store, [metric], **steps)


def measure(every: dict[str, Case]) -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {name: [] for name in every}
    for number in range(ROUNDS + 1):
        for name, (rounds, function) in every.items():
            if number > rounds:
                continue
            if not name.endswith("first"):
                function()
            start = time.perf_counter()
            function()
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    base = statistics.median(times[LOOK_UP])
    return {
        name: {"ms": statistics.median(taken) * 1e3, "look_ups": statistics.median(taken) / base}
        for name, taken in times.items()
    }


def build(store: Store, sizes: dict[str, int], *, large: bool) -> None:
    for name, steps in sizes.items():
        fill(store, name, steps)
    fill_many(store, "many", SERIES_STEPS)
    if large:
        fill_many(store, "large", 1_000_000)
        fill_ranks(store)
    settle(store)
    build_rollups(store)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="also 100 M steps and 1,024 ranks")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv if argv is not None else [])
    sizes = {"1 M steps": 1_000_000, "10 M steps": 10_000_000}
    if options.large:
        sizes["100 M steps"] = 100_000_000
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        store = open_store(None, Path(directory) / "data")
        try:
            build(store, sizes, large=options.large)
            rows = measure(cases(store, sizes, large=options.large))
        finally:
            store.close()
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':44s} {'ms':>9s} {'look-ups':>9s}")
    for name, row in rows.items():
        print(f"{name:44s} {row['ms']:9.2f} {row['look_ups']:9.2f}")
    largest = [*sizes][-1]
    print(
        f"\n{largest} take {rows[largest]['ms'] / rows['1 M steps']['ms']:.2f} times what 1 M take;"
    )
    points = rows["10 M steps, points"]["ms"]
    print(
        f"10 M read from points, {points / rows['10 M steps']['ms']:.0f} times what the tier takes;"
    )
    print(f"a zoom that no tier serves, {rows[ZOOM]['ms'] / rows[SUM]['ms']:.2f} times sum(value).")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
