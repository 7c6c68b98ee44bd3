"""Promise: the line that is drawn from the buckets of a chart is the line that all points draw,
pixel by pixel; and what happened at one step is seen at every zoom.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import ARGNONFINITE, COLUMNS, ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import POINTS_COLUMNS, Store, open_store
from stepline_ingest.store.native import write_block
from tests.support.points import TYPES

SERIES, CHARTS = 50, 20
HEIGHT = 100
RUN = "pixels"
DESCENTS = {RUN: Descent.of_attempts(siphash64(RUN), [1])}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(None, tmp_path_factory.mktemp("pixels") / "data")
    yield opened
    opened.close()


def some_steps(rng: random.Random, count: int) -> list[int]:
    begin, shape = rng.randrange(-5000, 5000), rng.randrange(4)
    if shape == 0:
        return [begin + i for i in range(count)]
    if shape == 1:
        return sorted(begin + rng.randrange(40 * count) for _ in range(count))
    if shape == 2:
        return sorted(begin + rng.choice((0, 9_000, 30_000)) + i for i in range(count))
    return sorted(begin + 10 * rng.randrange(1 + count // 3) for _ in range(count))


def some_values(rng: random.Random, count: int) -> list[float]:
    shape, value, values = rng.randrange(4), 0.0, []
    for _ in range(count):
        value = value + rng.gauss(0, 1) if shape else rng.choice((0.0, 1.0, 1.5))
        spike = shape == 2 and rng.random() < 0.01
        broken = shape == 3 and rng.random() < 0.2
        values.append(float("nan") if broken else value * 50 if spike else value)
    return values


def insert(store: Store, series: dict[str, tuple[list[int], list[float]]]) -> None:
    """In three parts, each with some of every series."""
    for number in range(3):
        columns: dict[str, list[object]] = {name: [] for name in POINTS_COLUMNS}
        for name, (steps, values) in series.items():
            mine = range(number, len(steps), 3)
            columns["run"] += [siphash64(RUN)] * len(mine)
            columns["metric"] += [siphash64(name)] * len(mine)
            columns["step"] += [steps[i] for i in mine]
            columns["value"] += [values[i] for i in mine]
            columns["seq"] += [i + 1 for i in mine]
        rows = len(columns["run"])
        fixed = {"rank": 0, "attempt": 1, "time": 0, "writer": 1, "received": 1_790_000_000}
        columns |= {name: [value] * rows for name, value in fixed.items()}
        block = write_block(
            [(n, t, columns[n]) for n, t in zip(POINTS_COLUMNS, TYPES, strict=True)]
        )
        store.insert_points([block], rows=rows, token=f"pixels-{number}")


def drawn(points: Iterable[tuple[int, float]], low: float, high: float) -> set[tuple[int, int]]:
    """The pixels of a line through POINTS, (column, value) in order."""
    scale = (HEIGHT - 1) / (high - low) if high > low else 0.0
    at = [(column, int((value - low) * scale)) for column, value in points]
    pixels = set(at)
    for (column, row), (next_column, next_row) in pairwise(at):
        if column == next_column:
            pixels.update((column, y) for y in range(min(row, next_row), max(row, next_row) + 1))
            continue
        slope = (next_row - row) / (next_column - column)
        for x in range(column, next_column + 1):
            ends = [
                row + slope * (min(max(x + d, column), next_column) - column) for d in (-0.5, 0.5)
            ]
            pixels.update((x, y) for y in range(round(min(ends)), round(max(ends)) + 1))
    return pixels


def of_buckets(line: query_pb2.ChartLine) -> Iterator[tuple[int, float]]:
    """What a client draws: first, the extremes in the order of their steps, last."""
    for row in range(line.rows):
        got = {name: value(line, name, row) for name in COLUMNS}
        if got["count"] == got["nonfinite"]:
            continue
        column = got["x"] // line.bucket_width
        extremes = sorted([(got["argmin"], got["min"]), (got["argmax"], got["max"])])
        for one in (got["first"], *(v for _, v in extremes), got["last"]):
            yield column, one


def value(line: query_pb2.ChartLine, name: str, row: int) -> float | int:
    kind = {"count": "Q", "nonfinite": "Q"}.get(name, "q" if name[:3] in ("x", "arg") else "d")
    found: float | int = struct.unpack_from(f"<{kind}", getattr(line, name), 8 * row)[0]
    return found


def chart(store: Store, metrics: Iterable[str], points: int, **asked) -> list[query_pb2.ChartLine]:
    steps = Range(asked.pop("start", None), asked.pop("stop", None))
    query = ChartQuery((RUN,), tuple(metrics), points, steps, Ranks.BAND, 0, **asked)
    return list(read_chart(store, query, DESCENTS, {}))


def test_buckets_draw_the_pixels_that_all_points_draw(store, monkeypatch):
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    series = {}
    for number in range(SERIES):
        count = rng.randrange(1, 500)
        series[f"s{number}"] = (some_steps(rng, count), some_values(rng, count))
    insert(store, series)
    build_rollups(store)
    compared = tiered = 0
    for number in range(CHARTS):
        monkeypatch.setattr(plan, "RAW_POINTS", -1 if number % 2 else 2**64)
        monkeypatch.setattr(plan, "POINTS_PER_CELL", 0)
        start = rng.choice((None, rng.randrange(-4000, 4000)))
        stop = rng.choice((None, rng.randrange(4000, 9000)))
        budget = rng.randrange(3, 20 if number % 2 else 150)
        for line in chart(store, series, budget, start=start, stop=stop):
            points = [
                (step // line.bucket_width, value)
                for step, value in zip(*series[line.metric], strict=True)
                if np.isfinite(value)
                and (start is None or step >= start)
                and (stop is None or step < stop)
            ]
            low = min((value for _, value in points), default=0.0)
            high = max((value for _, value in points), default=0.0)
            got = drawn(of_buckets(line), low, high)
            assert got == drawn(points, low, high), (seed, number, line.metric)
            compared += 1
            tiered += bool(line.tier_width)
    assert compared == SERIES * CHARTS == 1000
    assert tiered > 50


def test_one_step_is_seen_at_every_zoom(store):
    steps, spike, broken = 1_000_000, 123_457, 700_001
    store.command(
        "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, "
        f"received) SELECT {siphash64(RUN)}, {siphash64('long')}, 0, 1, number, 0, "
        f"multiIf(number = {spike}, 1e6, number = {broken}, nan, sin(number / 1000)), 1, "
        f"number + 1, toDateTime(1790000000) FROM numbers({steps})"
    )
    build_rollups(store)
    columns = frozenset((*COLUMNS, ARGNONFINITE))
    for step in (spike, broken):
        reach = steps
        while reach > 1:
            lo, hi = max(0, step - reach // 3), min(steps, step + reach // 2 + 1)
            for points in (3, 100, 1000):
                (line,) = chart(store, ["long"], points, start=lo, stop=hi, columns=columns)
                assert line.rows <= points
                rows = range(line.rows)
                tops = [(value(line, "max", r), value(line, "argmax", r)) for r in rows]
                marks = [value(line, ARGNONFINITE, r) for r in rows if value(line, "nonfinite", r)]
                assert ((1e6, spike) in tops) == (lo <= spike < hi)
                assert marks == [broken] * (lo <= broken < hi)
            reach //= 7
