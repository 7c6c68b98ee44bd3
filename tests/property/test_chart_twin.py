"""Promise: a chart is what its definition says, bit for bit, whether it was read from points, from
tiers, or from both.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepline._core import siphash64
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan, reader
from stepline_ingest.query.blocks import Array
from stepline_ingest.query.cells import Cells
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.means import shown_means
from stepline_ingest.query.request import ARGNONFINITE, COLUMNS, ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from stepline_ingest.store.memo import Memo
from tests.support import chart_twin
from tests.support.points import Point, block

CASES = int(os.environ.get("STEPLINE_CHART_CASES", "15"))
RUNS, METRICS, RANKS = ("r0", "r1"), ("loss", "eval"), 3
KINDS = dict.fromkeys(("x", "argmin", "argmax", ARGNONFINITE), "q")
KINDS |= {"count": "Q", "nonfinite": "Q"}
EVERY = (*COLUMNS, ARGNONFINITE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(None, tmp_path_factory.mktemp("chart") / "data")
    yield opened
    opened.close()


class Recorder:
    """A store that remembers the statements it streamed; SHARED with other services, so that
    nothing is known but what it says.
    """

    def __init__(self, store: Store, *, shared: bool) -> None:
        self.store = store
        self.memo = Memo(trusted=False) if shared else store.memo
        self.query = store.query
        self.expired = store.expired
        self.statements: list[tuple] = []

    def stream_native(self, sql, params=None, settings=None):
        self.statements.append((sql, params, settings))
        return self.store.stream_native(sql, params, settings)


def series(rng: random.Random, example: int) -> list[Point]:
    """Some runs with attempts, ranks and metrics; steps in one of several shapes, values of all
    kinds.
    """
    shape = rng.choice(["dense", "dense", "gaps", "negative", "repeated", "huge", "extreme"])
    points: list[Point] = []
    for run in RUNS[: rng.choice([1, 2])]:
        for attempt in range(1, rng.choice([2, 2, 3, 4])):
            begin = 0 if attempt == 1 else rng.randrange(-50, 900)
            for rank in range(rng.choice([1, RANKS])):
                seq = 0
                for metric in METRICS[: rng.choice([1, 2])]:
                    for step in steps(rng, shape, begin):
                        seq += 1
                        points.append(
                            Point(
                                run=siphash64(f"{run}-{example}"),
                                metric=siphash64(metric),
                                rank=rank,
                                attempt=attempt,
                                step=step,
                                value=value(rng),
                                writer=attempt << 64 | rank,
                                seq=seq,
                            )
                        )
    return points


def steps(rng: random.Random, shape: str, begin: int) -> list[int]:
    count = rng.randrange(1, 500)
    if shape == "dense":
        return list(range(begin, begin + count))
    if shape == "gaps":
        return [begin + i * 7 + rng.randrange(3) for i in range(count) if rng.random() < 0.7]
    if shape == "negative":
        return [rng.randrange(-3000, 300) for _ in range(count)]
    if shape == "repeated":
        return [begin + rng.randrange(40) * 5 for _ in range(count)]
    if shape == "huge":
        return [begin + rng.randrange(10**13) for _ in range(count)]
    edge = [-(2**63), -(2**63) + 1, 2**63 - 1, 2**63 - 2, -1, 0, 1]
    return [
        rng.choice(edge) if rng.random() < 0.1 else rng.randrange(-(2**63), 2**63)
        for _ in range(count)
    ]


def value(rng: random.Random) -> float:
    kind = rng.random()
    if kind < 0.05:
        return rng.choice([float("nan"), float("inf"), float("-inf")])
    if kind < 0.4:
        return rng.choice([0.0, -0.0, 1.0, -1.0, 2.5])
    return rng.gauss(0, 1) * 10 ** rng.randrange(-5, 6)


def insert(store: Store, rng: random.Random, points: list[Point], token: str) -> None:
    """In random pieces, out of order, and then merged, left alone, or given their rollups in
    place.
    """
    mixed = points[:]
    rng.shuffle(mixed)
    pieces = rng.randrange(1, 5)
    for number in range(pieces):
        part = mixed[number::pieces]
        if part:
            store.insert_points([block(part)], rows=len(part), token=f"{token}-{number}")
    if rng.random() < 0.3:
        build_rollups(store)


def fill(
    store: Store, run: str, value: str, points: int, *, ranks: int = 1, where: str = "1"
) -> None:
    """Points of one metric, made by the engine, those WHERE in one part."""
    store.command(
        "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, "
        f"received) SELECT {siphash64(run)}, {siphash64('loss')}, number % {ranks}, 1, "
        f"intDiv(number, {ranks}), 0, {value}, 1, number + 1, toDateTime(1790000000) "
        f"FROM numbers({points}) WHERE {where}"
    )


class Line(NamedTuple):
    run_id: str
    metric: str
    rank: int | None
    tier: int
    width: int
    columns: dict[str, tuple]


def descents(attempts: dict[str, list[int]]) -> dict[str, Descent]:
    return {run_id: Descent.of_attempts(siphash64(run_id), n) for run_id, n in attempts.items()}


def forked(fork: Descent, parent: Descent, points: list[Point], step: int) -> Descent:
    """FORK, if it had begun as PARENT up to STEP."""
    first_steps: dict[int, int] = {}
    for p in points:
        if p.run == parent.run:
            first_steps[p.attempt] = min(p.step, first_steps.get(p.attempt, p.step))
    made = Descent.of_fork(fork.run, parent.lineage(first_steps), step)
    for attempt in fork.attempts:
        made = made.begun(attempt, step + 1 if attempt == 1 else None)
    return made


def all_doubtful(cells: Cells) -> tuple[Array, Array]:
    """As shown_means, which knows none."""
    mean, _ = shown_means(cells)
    return np.full_like(mean, np.nan), np.flatnonzero(cells["points"] > cells["nonfinite"])


def lines(
    store, query: ChartQuery, known, tier: bool | None, patch, *, doubt: bool = False
) -> list[Line]:
    """TIER forces what is read, None leaves it to the plan. With DOUBT every mean is added up
    exactly.
    """
    if doubt:
        patch.setattr(reader, "shown_means", all_doubtful)
    if tier is not None:
        patch.setattr(plan, "RAW_POINTS", -1 if tier else 2**64)
        patch.setattr(plan, "POINTS_PER_CELL", 0)
    found = []
    for line in read_chart(store, query, known, {}):
        columns = {
            name: struct.unpack(f"<{line.rows}{KINDS.get(name, 'd')}", getattr(line, name))
            for name in EVERY
            if name == "x" or name in query.columns
        }
        rank = line.rank if line.HasField("rank") else None
        found.append(
            Line(line.run_id, line.metric, rank, line.tier_width, line.bucket_width, columns)
        )
    patch.undo()
    return found


def same(got: dict, expected: list[chart_twin.Bucket]) -> None:
    for name in EVERY:
        wanted = [getattr(bucket, name) for bucket in expected]
        if name == "mean":  # A zero is one, whatever its sign.
            assert np.array_equal(got[name], wanted, equal_nan=True), (got[name], wanted)
            continue
        kind = KINDS.get(name, "d")
        assert struct.pack(f"<{len(got[name])}{kind}", *got[name]) == struct.pack(
            f"<{len(wanted)}{kind}", *wanted
        ), (name, got[name][:10], wanted[:10])


@settings(max_examples=CASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_every_column_is_what_the_definition_says(store, monkeypatch, seed):
    rng = random.Random(seed)
    points = series(rng, seed)
    insert(store, rng, points, f"s{seed}-{rng.getrandbits(64)}")
    # A seed that hypothesis repeats is stored once: its tokens differ, so it gets a run of its own.
    runs = {f"{run}-{seed}": siphash64(f"{run}-{seed}") for run in RUNS}
    runs = {name: run for name, run in runs.items() if any(p.run == run for p in points)}
    attempts = {
        name: sorted({p.attempt for p in points if p.run == run}) for name, run in runs.items()
    }
    some = [p.step for p in points]
    forks: dict[int, chart_twin.Fork] = {}
    known = descents(attempts)
    if len(runs) == 2 and rng.random() < 0.4:
        (parent, of), (name, run) = runs.items()
        step = min(rng.choice(some), 2**63 - 2)
        forks[run] = chart_twin.Fork(of, step)
        known[name] = forked(known[name], known[parent], points, step)
    start = rng.choice([None, rng.choice(some), rng.choice(some) - 1])
    stop = rng.choice([None, rng.choice(some), rng.choice(some) + 1])
    start = None if start is None else max(start, -(2**63))
    stop = None if stop is None else min(stop, 2**63 - 1)
    if None not in (start, stop) and start > stop:
        start, stop = stop, start
    budget = rng.choice([1, 2, 3, 7, 10, 30, 100, 1000])
    ranks = rng.choice(list(Ranks))
    query = ChartQuery(
        tuple(runs),
        METRICS,
        budget,
        Range(start, stop),
        ranks,
        rng.randrange(RANKS),
        common_grid=rng.random() < 0.3,
        columns=frozenset(EVERY),
    )
    try:
        answers = [
            lines(Recorder(store, shared=shared), query, known, tier, monkeypatch, doubt=doubt)
            for tier, shared, doubt in [
                (False, False, False),
                (True, False, False),
                (True, True, False),
                (None, False, budget <= 30),
            ]
        ]
    finally:
        store.command("TRUNCATE TABLE raw_points")
    expected = [
        chart_twin.chart(
            points,
            list(runs.values()),
            runs[line.run_id],
            siphash64(line.metric),
            budget=budget,
            start=start,
            stop=stop,
            rank=line.rank,
            span_rank=query.rank if ranks is Ranks.ONE else None,
            common_grid=query.common_grid,
            forks=forks,
        )
        for line in answers[0]
    ]
    for answer in answers:
        assert [line[:3] for line in answer] == [line[:3] for line in answers[0]]
        for line, buckets in zip(answer, expected, strict=True):
            same(line.columns, buckets)


def test_tiers_are_read_where_they_should_be(store, monkeypatch):
    fill(store, "tiered", "number % 97", 60_000)
    build_rollups(store)
    query = ChartQuery(("tiered",), ("loss",), 100, Range(None, None), Ranks.BAND, 0)
    for shared in (True, False):
        recorder = Recorder(store, shared=shared)
        (line,) = lines(recorder, query, descents({"tiered": [1]}), None, monkeypatch)
        assert line.tier == 128
        assert len(recorder.statements) == 2, "one query for the statistics, one for the line"
        for sql, params, chosen in recorder.statements[:2] if shared else ():
            # The engine's own word: it throws when it does not read the projection.
            force = {"force_optimize_projection": 1}
            assert list(store.stream_native(sql, params, {**chosen, **force}))
    assert "mergeTreeProjection" in recorder.statements[-1][0]
    again = Recorder(store, shared=False)
    for points_of_chart in (100, 77):
        other = replace(query, points=points_of_chart)
        (line,) = lines(again, other, descents({"tiered": [1]}), None, monkeypatch)
        assert line.tier == 128
    assert not again.statements, "the statistics are known, and the cells for other buckets too"


def test_lines_come_in_the_order_of_the_request_and_empty_ones_too(store, monkeypatch):
    points = [
        Point(run=siphash64(run), metric=siphash64(metric), rank=rank, step=i, value=i, seq=i + 1)
        for run, metric, rank in [("b", "x", 1), ("b", "x", 0), ("a", "y", 5)]
        for i in range(10)
    ]
    store.insert_points([block(points)], rows=len(points), token="ordered")
    query = ChartQuery(("b", "a"), ("y", "x"), 5, Range(None, None), Ranks.ALL, 0)
    answer = lines(store, query, descents({"b": [1], "a": [1]}), None, monkeypatch)
    assert [(line.run_id, line.metric, line.rank, len(line.columns["x"])) for line in answer] == [
        ("b", "y", None, 0),
        ("b", "x", 0, 5),
        ("b", "x", 1, 5),
        ("a", "y", 5, 5),
        ("a", "x", None, 0),
    ]


def test_a_request_gives_the_same_bytes_whatever_was_merged(store):
    """Also the means, whose sums differ in their last bits with the order of adding."""
    value = "sin(cityHash64(number)) * pow(10, cityHash64(number, 1) % 7 - 3)"
    for part in range(7):
        fill(store, "again", value, 60_000, ranks=2, where=f"cityHash64(number, 2) % 7 = {part}")
    queries = [
        ChartQuery(("again",), ("loss",), budget, Range(*steps), Ranks.BAND, 0)
        for budget in (1, 100, 1000)
        for steps in ((None, None), (17, 29_000))
    ]

    def read() -> list[bytes]:
        return [
            line.SerializeToString()
            for query in queries
            for line in read_chart(store, query, descents({"again": [1]}), {})
        ]

    bare = read()
    assert read() == bare
    build_rollups(store)
    assert read() == bare
    store.command("OPTIMIZE TABLE raw_points FINAL")
    assert read() == bare
