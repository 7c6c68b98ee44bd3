"""How long charts take, from the request to the messages, against the engine's own point look-up.

    python -m bench.chart [--large] [--json]

Series of 1 M and 10 M steps (with --large also 100 M) and 100 series of 100,000 steps lie in a
fresh embedded store, merged as far as the engine merges by itself and with the rollups that the
service's upkeep builds. Every case runs in every round, so that all see the same machine; the
figures are medians over the rounds, and the look-up of the same rounds is 1.0. "points" reads the
same chart from raw points. "statistics" and "data" are the two queries of a chart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bench.merges import settle
from stepline._core import siphash64
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store

ROUNDS, SLOW_ROUNDS = 25, 3
BUCKETS = 1_000
PIECE = 1_000_000
SERIES, SERIES_STEPS = 100, 100_000
LIMITS = Limits().of_a_query()
RUN = "bench"
DESCENTS = {RUN: Descent.of_attempts(siphash64(RUN), [1])}

_FILL = (
    "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, received) "
    "SELECT {run}, {metric}, 0, 1, {step}, "
    "fromUnixTimestamp64Milli(1790000000000 + number * 100), "
    "2 / (1 + {step} / 1e4) + toFloat32(randNormal(0, 0.05)), "
    "1, number + 1, toDateTime(1790000000) "
    "FROM numbers({first}, {count})"
)
_LOOK_UP = (
    "SELECT value FROM raw_points WHERE run = {run:UInt64} AND metric = {metric:UInt64} "
    "AND rank = 0 AND attempt = 1 AND step = {step:Int64}"
)


class Timed:
    """A store that notes how long its queries take."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.taken: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def stream_native(self, *args: Any) -> Iterator[Any]:
        start = time.perf_counter()
        blocks = list(self._store.stream_native(*args))
        self.taken.append(time.perf_counter() - start)
        return iter(blocks)


def fill(store: Store, metric: str, steps: int) -> None:
    for first in range(0, steps, PIECE):
        store.command(
            _FILL.format(
                run=siphash64(RUN),
                metric=siphash64(metric),
                step="toInt64(number)",
                first=first,
                count=min(PIECE, steps - first),
            )
        )


def fill_many(store: Store) -> None:
    """Parts that hold some steps of every series, as a training job sends them."""
    names = [siphash64(f"many/{i}") for i in range(SERIES)]
    for first in range(0, SERIES * SERIES_STEPS, PIECE):
        store.command(
            _FILL.format(
                run=siphash64(RUN),
                metric=f"arrayElement({names}, number % {SERIES} + 1)",
                step=f"toInt64(intDiv(number, {SERIES}))",
                first=first,
                count=PIECE,
            )
        )


def chart(store: Timed, metrics: list[str], *, raw: bool = False, **steps: int) -> None:
    query = ChartQuery(
        (RUN,),
        tuple(metrics),
        steps.pop("points", BUCKETS),
        Range(steps.get("start"), steps.get("stop")),
        Ranks.BAND,
        0,
    )
    with mock.patch.object(plan, "RAW_POINTS", 2**64 if raw else plan.RAW_POINTS):
        messages = list(read_chart(store, query, DESCENTS, LIMITS))
    assert all(message.rows > 0 for message in messages)
    assert raw is False or all(message.tier_width == 0 for message in messages)


def cases(store: Timed, sizes: dict[str, int]) -> dict[str, tuple[int, Callable[[], object]]]:
    """Rounds and function of each."""
    params = {
        "run": siphash64(RUN),
        "metric": siphash64("1 M steps"),
        "step": 500_000,
    }
    found: dict[str, tuple[int, Callable[[], object]]] = {
        "point look-up": (ROUNDS, lambda: list(store.stream_native(_LOOK_UP, params)))
    }
    for name, steps in sizes.items():
        found[name] = (ROUNDS, lambda name=name: chart(store, [name]))  # type: ignore[misc]
        cut = {"start": steps // 10 + 7, "stop": steps // 10 * 9 + 7}
        found[f"{name}, a cut of it"] = (  # type: ignore[misc]
            ROUNDS,
            lambda name=name, cut=cut: chart(store, [name], **cut),
        )
    for name, steps in sizes.items():
        if steps <= 10_000_000:
            found[f"{name}, points"] = (  # type: ignore[misc]
                SLOW_ROUNDS,
                lambda name=name: chart(store, [name], raw=True),
            )
    many = [f"many/{i}" for i in range(SERIES)]
    for points in (BUCKETS, 100, 50):
        found[f"{SERIES} series, {points} buckets each"] = (  # type: ignore[misc]
            ROUNDS,
            lambda points=points: chart(store, many, points=points),
        )
    return found


def measure(store: Timed, sizes: dict[str, int]) -> dict[str, dict[str, float]]:
    every = cases(store, sizes)
    times: dict[str, list[list[float]]] = {name: [] for name in every}
    for number in range(ROUNDS + 1):
        for name, (rounds, function) in every.items():
            if number > rounds:
                continue
            store.taken.clear()
            start = time.perf_counter()
            function()
            if number:  # the first round warms up
                times[name].append([time.perf_counter() - start, *store.taken])
    base = statistics.median(row[0] for row in times["point look-up"])
    rows = {}
    for name, taken in times.items():
        medians = [statistics.median(column) for column in zip(*taken, strict=True)]
        rows[name] = {"ms": medians[0] * 1e3, "look_ups": medians[0] / base}
        if len(medians) == 3:
            rows[name] |= {"statistics_ms": medians[1] * 1e3, "data_ms": medians[2] * 1e3}
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="also 100 M steps")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv if argv is not None else [])
    sizes = {"1 M steps": 1_000_000, "10 M steps": 10_000_000}
    if options.large:
        sizes["100 M steps"] = 100_000_000
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        store = open_store(None, Path(directory) / "data")
        try:
            for name, steps in sizes.items():
                fill(store, name, steps)
            fill_many(store)
            settle(store)
            build_rollups(store)
            rows = measure(Timed(store), sizes)
        finally:
            store.close()
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':32s} {'ms':>9s} {'look-ups':>9s} {'statistics':>11s} {'data':>9s}")
    for name, row in rows.items():
        parts = "".join(
            f"{row[key]:{width}.2f}" if key in row else ""
            for key, width in (("statistics_ms", 12), ("data_ms", 10))
        )
        print(f"{name:32s} {row['ms']:9.2f} {row['look_ups']:9.2f}{parts}")
    small, large = rows["1 M steps"]["ms"], rows["10 M steps"]["ms"]
    print(f"\n10 M steps take {large / small:.2f} times what 1 M take; ", end="")
    points = rows["10 M steps, points"]["ms"]
    print(f"read from points, {points / large:.0f} times what the tier takes.")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
