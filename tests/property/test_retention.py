"""Promise: when points expire, charts and statistics at the resolution of tiers stay what they
were, whatever was logged, in whatever order it arrived, and however often months expire.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from stepline._core import siphash64
from stepline_ingest.lineage import STEP_END, STEP_MIN, Descent
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import ARGNONFINITE, COLUMNS, Axis, ChartQuery, Range, Ranks
from stepline_ingest.query.series import read_extents, read_lineages, read_series
from stepline_ingest.query.summaries import summarize, summarize_whole
from stepline_ingest.retention import expire
from stepline_ingest.run_rows import LAYER_COLUMNS
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from tests.support.points import Point, block

CASES = int(os.environ.get("STEPLINE_RETENTION_CASES", "6"))
MONTHS = {202601: 1_767_700_000, 202602: 1_770_300_000, 202603: 1_772_800_000}
EVERY = (*COLUMNS, ARGNONFINITE)
KINDS = dict.fromkeys(("x", "argmin", "argmax", ARGNONFINITE, "at"), "q")
KINDS |= {"count": "Q", "nonfinite": "Q"}
METRICS = ("loss", "eval")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(None, tmp_path_factory.mktemp("retention") / "data")
    yield opened
    opened.close()


def random_points(rng: random.Random, run: int, attempts: int) -> list[Point]:
    points = []
    for attempt in range(1, attempts + 1):
        begin = 0 if attempt == 1 else rng.randrange(0, 60_000)
        for rank in range(rng.choice([1, 3])):
            seq = 0
            for metric in METRICS[: rng.choice([1, 2])]:
                count = rng.randrange(1, 500)
                steps = [begin + rng.randrange(100_000) for _ in range(count)]
                if rng.random() < 0.7:
                    steps.sort()
                if rng.random() < 0.2:
                    steps = [-step for step in steps]
                turn = rng.randrange(count + 1), rng.randrange(count + 1)
                for place, step in enumerate(steps):
                    seq += 1
                    number = (place >= min(turn)) + (place >= max(turn))
                    if rng.random() < 0.05:
                        number = rng.randrange(3)
                    points.append(
                        Point(
                            run=run,
                            metric=siphash64(metric),
                            rank=rank,
                            attempt=attempt,
                            step=step,
                            time=1_000 + rng.randrange(10**6),
                            value=value(rng),
                            writer=attempt << 64 | rank << 8 | run % 251,
                            seq=seq,
                            received=list(MONTHS.values())[number],
                        )
                    )
    return points


def value(rng: random.Random) -> float:
    kind = rng.random()
    if kind < 0.1:
        return rng.choice([float("nan"), float("inf"), float("-inf")])
    return rng.choice([0.0, -0.0, 1.0, -1.0]) if kind < 0.3 else rng.gauss(0, 1)


def insert(store: Store, rng: random.Random, points: list[Point], token: str) -> None:
    for received in MONTHS.values():
        mine = [point for point in points if point.received == received]
        rng.shuffle(mine)
        for number in range(2):
            part = mine[number::2]
            if part:
                store.insert_points(
                    [block(part)], rows=len(part), token=f"{token}-{number}-{received}"
                )
    if rng.random() < 0.5:
        build_rollups(store)


def enter(store: Store, run: int, attempts: int) -> None:
    """As the service does of a run that was resumed."""
    rows = [
        (run, n, run, n + 1, STEP_MIN, STEP_END - 1, True, None, True, 1) for n in range(attempts)
    ]
    store.insert_rows("raw_layers", LAYER_COLUMNS, rows)


def charts(store: Store, queries: list[ChartQuery], descents: dict[str, Descent]) -> list[object]:
    found: list[object] = []
    for query in queries:
        for line in read_chart(store, query, descents, {}):
            columns = {
                name: struct.unpack(f"<{line.rows}{KINDS.get(name, 'd')}", getattr(line, name))
                for name in (*EVERY, "at")
                if getattr(line, name)
            }
            mean = np.array(columns.pop("mean", ()))
            exact = {
                name: struct.pack(f"<{line.rows}{KINDS.get(name, 'd')}", *c)
                for name, c in columns.items()
            }
            found.append(
                ((line.metric, line.rank, line.HasField("rank"), line.attempt), exact, mean)
            )
    return found


def same_charts(before: list, after: list) -> None:
    assert [line[0] for line in before] == [line[0] for line in after]
    for (key, exact, mean), (_, found, shown) in zip(before, after, strict=True):
        assert exact.keys() == found.keys()
        for name, column in exact.items():
            assert column == found[name], (key, name)
        # One bucket in 300,000 may differ by one unit of what is shown.
        assert np.allclose(mean, shown, rtol=1e-5, atol=1e-5, equal_nan=True), key


def statistics(store: Store, run: int, descent: Descent, attempts: int) -> object:
    metrics = [siphash64(name) for name in METRICS]
    series = [
        (one.run, one.metric, one.attempt, one.ranks, one.extent)
        for one in read_series(store, [run], metrics, limits={})
    ]
    lineage = read_lineages(store, [descent], {})[run]
    found: dict = {}
    summarize(store, lineage, None, {}, found)
    whole = summarize_whole(store, [run], {})[run] if attempts == 1 else {}
    shown = [
        {
            metric: tuple(
                round(one, 9) if name == "total" else repr(one)
                for name, one in ((n, getattr(summary, n)) for n in summary.__slots__)
            )
            for metric, summary in summaries.items()
        }
        for summaries in (found, whole)
    ]
    return series, read_extents(store, [run], {}), lineage, shown


@pytest.mark.parametrize("seed", range(CASES))
def test_charts_and_statistics_survive(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    token = f"s{seed}-{random.getrandbits(64)}"
    run_id = token
    run = siphash64(run_id)
    attempts = rng.choice([1, 1, 2, 3])
    points = random_points(rng, run, attempts)
    insert(store, rng, points, token)
    enter(store, run, attempts)
    there = sorted({point.attempt for point in points})
    descents = {run_id: Descent.of_attempts(run, there)}
    queries = [
        ChartQuery(
            (run_id,),
            METRICS,
            budget,
            Range(*steps),
            ranks,
            0,
            axis=rng.choice([Axis.STEP, Axis.TIME]),
            columns=frozenset(EVERY),
            all_attempts=rng.random() < 0.2,
        )
        for budget, steps, ranks in (
            (1, (None, None), Ranks.BAND),
            (2, (None, None), Ranks.ALL),
            (rng.randrange(3, 60), (None, None), rng.choice([Ranks.BAND, Ranks.ALL, Ranks.ONE])),
            (20, (rng.randrange(20) * 32_768, None), Ranks.BAND),
        )
    ]
    before = charts(store, queries, descents), statistics(store, run, descents[run_id], attempts)
    months = list(MONTHS)
    rng.shuffle(months)
    for month in months[: rng.choice([1, 2, 3])]:
        expire(store, month, piece_points=rng.choice([1, 300, 10**6]))
        after = charts(store, queries, descents)
        same_charts(before[0], after)
        assert statistics(store, run, descents[run_id], attempts) == before[1]
