"""Promise: a rollup says exactly what its points say, whether the engine has built it or not."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict

import pytest

from stepline_ingest.schema import migrations, tiers
from stepline_ingest.schema.upkeep import bare_parts, build_rollups
from stepline_ingest.store import StoreError
from tests.support.points import Point, bits, block, line, rollup

STEP_MIN, STEP_MAX = -(2**63), 2**63 - 1
KEYS = "run, metric, rank, attempt"

# Where a cell has no finite value the packed columns mean nothing.
READ = ", ".join(
    [
        f"{tiers.COUNT} AS n",
        f"{tiers.NONFINITE} AS bad",
        f"{tiers.LOW} AS low",
        f"reinterpretAsUInt64({tiers.value_of('low')})",
        tiers.step_of_low("low"),
        f"{tiers.HIGH} AS high",
        f"reinterpretAsUInt64({tiers.value_of('high')})",
        tiers.step_of_high("high"),
        f"reinterpretAsUInt64({tiers.FIRST})",
        f"reinterpretAsUInt64({tiers.LAST})",
        tiers.FIRST_TIME,
        tiers.LAST_TIME,
        f"{tiers.SUM} AS total",
    ]
)
PROJECTED = {"force_optimize_projection": 1}
RAW = {"optimize_use_projections": 0}


def read(store, width, settings):
    """Cells of a tier, or series when WIDTH is 0, in the shape of `rollup`."""
    cell = tiers.cell(width) if width else "toInt64(0)"
    group = f"{KEYS}, {tiers.cell(width)}" if width else KEYS
    cells = {}
    for *key, n, bad, _, low, low_at, _, high, high_at, first, last, t0, t1, total in store.query(
        f"SELECT {KEYS}, {cell}, {READ} FROM {tiers.TABLE} GROUP BY {group}", settings=settings
    ):
        extremes = (low, low_at, high, high_at, first, last) if n > bad else (None,) * 6
        cells[tuple(key)] = ((n, bad, *extremes, t0, t1), total)
    return cells


def expected(points, width):
    groups = defaultdict(list)
    for p in points:
        cell = p.step // width if width else 0
        groups[p.run, p.metric, p.rank, p.attempt, cell].append(p)
    return groups


def check(store, points, settings):
    for width in (0, *tiers.WIDTHS):
        found = read(store, width, settings)
        groups = expected(points, width)
        assert found.keys() == groups.keys()
        for key, group in groups.items():
            cells, total = found[key]
            assert cells == rollup(group), (width, key)
            exact = math.fsum(p.value for p in group if math.isfinite(p.value))
            assert math.isclose(total, exact, rel_tol=1e-9, abs_tol=1e-9)


def random_points(seed, count):
    """Everything that is nasty: ties, negative and extreme steps, both zeros, NaN, infinities, any
    order of arrival."""
    rng = random.Random(seed)
    values = [0.0, -0.0, 1.0, -1.0, 0.1, math.nan, math.inf, -math.inf, 5e-324, 1e300]
    steps = [
        STEP_MIN,
        STEP_MIN + 1,
        STEP_MAX,
        STEP_MAX - 1,
        -129,
        -128,
        -1,
        0,
        127,
        128,
        32767,
        32768,
    ]
    return [
        Point(
            run=rng.choice([1, 2**64 - 1]),
            metric=rng.choice([2, 3]),
            rank=rng.choice([0, 5]),
            attempt=rng.choice([1, 2]),
            step=rng.choice([*steps, rng.randint(-3000, 3000), rng.randint(-5, 5)]),
            time=rng.randint(0, 2**41),
            value=rng.choice([*values, round(rng.gauss(0, 10), 3), rng.gauss(0, 1)]),
            writer=rng.choice([7, 2**127]),
            # (writer, seq, metric) names a point; here seq alone orders the ties.
            seq=seq,
        )
        for seq in rng.sample(range(1, 2**44), count)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_rollups_equal_their_points(store, seed):
    points = random_points(seed, 1500)
    thirds = [points[:500], points[500:1000], points[1000:]]
    store.command("SYSTEM STOP MERGES raw_points")
    for i, part in enumerate(thirds[:2]):
        store.insert_points([block(part)], rows=len(part), token=f"t{i}")
    check(store, points[:1000], RAW)
    with pytest.raises(StoreError):
        read(store, tiers.WIDTHS[0], PROJECTED)

    # Parts with a rollup beside parts without one.
    store.command("SYSTEM START MERGES raw_points")
    store.command("OPTIMIZE TABLE raw_points FINAL")
    store.command("SYSTEM STOP MERGES raw_points")
    store.insert_points([block(thirds[2])], rows=len(thirds[2]), token="t2")
    assert [bare.rows for bare in bare_parts(store)] == [500]
    check(store, points, PROJECTED)

    store.command("SYSTEM START MERGES raw_points")
    assert build_rollups(store) == 500
    assert bare_parts(store) == []
    check(store, points, PROJECTED)
    store.command("OPTIMIZE TABLE raw_points FINAL")
    check(store, points, PROJECTED)


def test_the_ledger_says_what_is_stored_of_each_writer(store):
    points = random_points(9, 400)
    store.insert_points([block(points)], rows=400, token="t")
    build_rollups(store)
    found = store.query(
        "SELECT run, attempt, rank, writer, count(), min(seq), max(seq), min(step), max(step) "
        f"FROM {tiers.TABLE} GROUP BY run, attempt, rank, writer",
        settings={**PROJECTED, "force_optimize_projection_name": tiers.LEDGER},
    )
    groups = defaultdict(list)
    for p in points:
        groups[p.run, p.attempt, p.rank, p.writer].append(p)
    assert sorted(found) == sorted(
        (
            *key,
            len(group),
            min(p.seq for p in group),
            max(p.seq for p in group),
            min(p.step for p in group),
            max(p.step for p in group),
        )
        for key, group in groups.items()
    )


def test_the_mark_of_a_writer_is_read_from_the_ledger(store):
    store.insert_points([block(line(range(50), writer=8))], rows=50, token="t")
    sql = "SELECT max(seq) FROM raw_points WHERE run = {run:UInt64} AND writer = {writer:UInt128}"
    params = {"run": 1, "writer": 8}
    assert store.query(sql, params) == [(50,)]
    build_rollups(store)
    assert store.query(sql, params, {**PROJECTED, "force_optimize_projection_name": "ledger"}) == [
        (50,)
    ]


@pytest.mark.parametrize("width", tiers.WIDTHS)
def test_each_tier_is_read_by_its_name_and_pruned(store, width):
    points = [
        Point(step=step, seq=seq + 1, value=1.0) for seq, step in enumerate(range(-4096, 4096))
    ]
    store.insert_points([block(points)], rows=len(points), token="t")
    build_rollups(store)
    sql = (
        f"SELECT {tiers.cell(width)} AS cell, {tiers.COUNT}, {tiers.LOW} FROM raw_points "
        f"WHERE run = 1 AND metric = 2 AND rank = 0 AND attempt = 1 AND {tiers.cell(width)} >= -1 "
        f"AND {tiers.cell(width)} < 0 GROUP BY run, metric, rank, attempt, cell"
    )
    forced = {**PROJECTED, "force_optimize_projection_name": tiers.name(width)}
    ((cell, count, *_),) = store.query(sql, settings=forced)
    assert (cell, count) == (-1, min(width, 4096))
    plan = store.query_raw(f"EXPLAIN indexes = 1 {sql}", "TSVRaw", settings=forced, readonly=False)
    assert f"ReadFromMergeTree ({tiers.name(width)})" in plan.decode()
    condition = next(line for line in plan.decode().splitlines() if "Condition:" in line)
    assert "bitShiftRight" in condition


def test_a_tier_that_no_part_has_is_read_from_points(store):
    store.command("SYSTEM STOP MERGES raw_points")
    store.insert_points([block(line(range(300)))], rows=300, token="t")
    preferred = {"preferred_optimize_projection_name": tiers.name(tiers.WIDTHS[0])}
    assert len(read(store, tiers.WIDTHS[0], preferred)) == 3


@pytest.mark.parametrize("width", tiers.WIDTHS)
def test_cells_are_floors_over_all_of_int64(store, width):
    steps = [STEP_MIN, STEP_MIN + 1, -width - 1, -width, -1, 0, width - 1, width, STEP_MAX]
    found = store.query(
        f"SELECT {tiers.cell(width)} FROM (SELECT arrayJoin({{s:Array(Int64)}}) AS step)",
        {"s": steps},
    )
    assert found == [(step // width,) for step in steps]


def test_packed_extremes_order_like_values_then_steps(store):
    values = [-math.inf, -1e300, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, 1e300, math.inf]
    steps = [STEP_MIN, -1, 0, 1, STEP_MAX]
    points = [
        Point(step=s, value=v, seq=i + 1)
        for i, (v, s) in enumerate((v, s) for v in values for s in steps)
    ]
    store.insert_points([block(points)], rows=len(points), token="t")
    low = store.query("SELECT reinterpretAsUInt64(value), step FROM raw_points ORDER BY low_key")
    assert low == [(bits(p.value), p.step) for p in points]
    high = store.query(
        "SELECT reinterpretAsUInt64(value), step FROM raw_points ORDER BY high_key DESC"
    )
    assert high == [(bits(v), s) for v in reversed(values) for s in steps]
    unpacked = store.query(
        f"SELECT count() FROM raw_points WHERE reinterpretAsUInt64({tiers.value_of('low_key')}) = "
        f"reinterpretAsUInt64(value) AND {tiers.step_of_low('low_key')} = step "
        f"AND {tiers.step_of_high('high_key')} = step"
    )
    assert unpacked == [(len(points),)]


def test_a_band_has_one_first_and_one_last_however_its_ranks_arrive(store):
    points = [
        Point(step=step, rank=rank, seq=seq, value=float(rank * 100 + seq))
        for step, rank, seq in [
            (9, 2**20 - 1, 1),
            (9, 3, 2**44 - 1),
            (3, 1, 7),
            (3, 0, 8),
            (3, 0, 9),
        ]
    ]
    for point in points:
        store.insert_points([block([point])], rows=1, token=f"{point.rank}-{point.seq}")
    sql = f"SELECT {tiers.FIRST}, {tiers.LAST} FROM raw_points"
    whole = [(8.0, float((2**20 - 1) * 100 + 1))]
    assert store.query(sql, settings=RAW) == whole
    build_rollups(store)
    assert store.query(sql, settings=PROJECTED) == whole


def test_the_migration_holds_the_projections_of_the_code():
    text = next(migration.text for migration in migrations() if migration.name == "points")
    assert tiers.projection_ddl() in text
    assert re.findall(r"PROJECTION (\w+)", text) == list(tiers.projections())
