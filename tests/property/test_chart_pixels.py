"""Promise: the line that is drawn from the buckets of a chart is the line that all points draw,
pixel by pixel; and what happened at one step is seen at every zoom.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan
from stepline_ingest.query.blocks import Array
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import ARGNONFINITE, COLUMNS, ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import POINTS_COLUMNS, Store, open_store
from stepline_ingest.store.native import write_block
from tests.support.points import TYPES

SERIES, CHARTS = 100, 10
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


def drawn(
    columns: Array, values: Array, low: float, high: float
) -> tuple[list[int], list[int], list[int]]:
    """The pixels of a line through points in the order of their COLUMNS: what of a column is drawn
    on lies between two rows. Returns the columns, the lowest row of each, and the highest."""
    if not len(columns):
        return [], [], []
    scale = (HEIGHT - 1) / (high - low) if high > low else 0.0
    rows = ((values - low) * scale).astype(np.int64)
    # A line covers half a column at its ends, and whole ones between them.
    over = np.diff(columns)
    leaving = np.flatnonzero(over)
    across = over[leaving] + 1
    begin, slope = np.repeat([rows[leaving], np.diff(rows)[leaving] / over[leaving]], across, 1)
    along = np.arange(across.sum()) - np.repeat(np.cumsum(across) - across, across)
    width = np.repeat(over[leaving], across)
    ends = [np.rint(begin + slope * np.clip(along + d, 0, width)) for d in (-0.5, 0.5)]
    at = np.concatenate([columns, np.repeat(columns[leaving], across) + along])
    drawn_columns, place = np.unique(at, return_inverse=True)
    lowest, highest = (np.full(len(drawn_columns), end) for end in (2**62, -(2**62)))
    np.minimum.at(lowest, place, np.concatenate([rows, np.minimum(*ends)]).astype(np.int64))
    np.maximum.at(highest, place, np.concatenate([rows, np.maximum(*ends)]).astype(np.int64))
    return drawn_columns.tolist(), lowest.tolist(), highest.tolist()


def of_buckets(line: query_pb2.ChartLine) -> tuple[Array, Array]:
    """What a client draws: first, the extremes in the order of their steps, last."""
    got = {name: column(line, name) for name in COLUMNS}
    finite = got["count"] > got["nonfinite"]
    up = (got["argmin"] < got["argmax"]) | (
        (got["argmin"] == got["argmax"]) & (got["min"] < got["max"])
    )
    extremes = [np.where(up, got["min"], got["max"]), np.where(up, got["max"], got["min"])]
    values = np.stack([got["first"], *extremes, got["last"]], axis=1)[finite]
    return np.repeat(got["x"][finite] // line.bucket_width, 4), values.ravel()


def column(line: query_pb2.ChartLine, name: str) -> Array:
    kind = {"count": "u8", "nonfinite": "u8"}.get(name, "i8" if name[:3] in ("x", "arg") else "f8")
    return np.frombuffer(getattr(line, name), f"<{kind}")


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
            steps, values = map(np.array, series[line.metric])
            asked = np.isfinite(values)
            asked &= True if start is None else steps >= start
            asked &= True if stop is None else steps < stop
            points = steps[asked] // line.bucket_width, values[asked]
            scale = (min(points[1], default=0.0), max(points[1], default=0.0))
            got = drawn(*of_buckets(line), *scale)
            assert got == drawn(*points, *scale), (seed, number, line.metric)
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
                tops = zip(column(line, "max"), column(line, "argmax"), strict=True)
                marks = column(line, ARGNONFINITE)[column(line, "nonfinite") > 0].tolist()
                assert ((1e6, spike) in tops) == (lo <= spike < hi)
                assert marks == [broken] * (lo <= broken < hi)
            reach //= 7
