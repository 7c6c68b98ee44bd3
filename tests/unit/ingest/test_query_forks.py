"""Promise: a fork shows what the other run showed up to its step, and goes on with its own points;
attempts supersede each other, but not in metrics of the system.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from stepline._core import siphash64
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.export import Cursor, ExportQuery, read_export
from stepline_ingest.query.history import HistoryQuery, read_history
from stepline_ingest.query.metrics import read_metrics
from stepline_ingest.query.names import NamesQuery
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store
from tests.support.points import Point, block

ALL = Range(None, None)
PARENT, FORK, LEAF = (siphash64(run) for run in ("parent", "fork", "leaf"))
# parent: attempt 1 to step 699, attempt 2 from 500 on. fork: of 300. leaf: of the fork at 350.
_FORK = Descent.of_fork(FORK, Descent.of_attempts(PARENT, [1, 2]).lineage({1: 0, 2: 500}), 300)
DESCENTS = {
    "parent": Descent.of_attempts(PARENT, [1, 2]),
    "fork": _FORK.begun(1, 301),
    "leaf": Descent.of_fork(LEAF, _FORK.begun(1, 301).lineage({1: 301}), 350)
    .begun(1, 351)
    .begun(2),
}
LOGGED = (
    # run, attempt, from, to, value
    (PARENT, 1, 0, 700, 1.0),
    (PARENT, 2, 500, 800, 2.0),
    (FORK, 1, 301, 500, 3.0),
    (LEAF, 1, 351, 600, 4.0),
    (LEAF, 2, 400, 450, 5.0),
)
SHOWN = {
    "parent": [(s, 1.0 if s < 500 else 2.0) for s in range(800)],
    "fork": [(s, 1.0 if s < 301 else 3.0) for s in range(500)],
    "leaf": [(s, [1.0, 3.0, 4.0, 5.0][(s > 300) + (s > 350) + (s > 399)]) for s in range(450)],
}


@pytest.fixture
def store(embedded: Store) -> Store:
    names = {"loss": siphash64("loss"), "system/gpu": siphash64("system/gpu")}
    points, seq = [], 0
    for run, attempt, begin, end, value in LOGGED:
        for step in range(begin, end):
            seq += 1
            place = {"run": run, "attempt": attempt, "writer": run % 97 << 8 | attempt}
            points.append(Point(metric=names["loss"], step=step, value=value, seq=seq, **place))
        for tick in range(3):
            seq += 1
            # Not superseded, and no beginning of an attempt.
            at = -1_000_000 + attempt * 10 + tick
            points.append(Point(metric=names["system/gpu"], step=at, value=value, seq=seq, **place))
    embedded.insert_points([block(points)], rows=len(points), token="forks")
    rows = [
        (run, metric, name, 0) for run in (PARENT, FORK, LEAF) for name, metric in names.items()
    ]
    embedded.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), rows)
    build_rollups(embedded)
    return embedded


def floats(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


def steps(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 8}q", data)


@pytest.mark.parametrize("tier", [False, True])
def test_charts_of_a_run_and_its_forks_in_one_request(store, monkeypatch, tier):
    monkeypatch.setattr(plan, "RAW_POINTS", -1 if tier else 2**64)
    monkeypatch.setattr(plan, "POINTS_PER_CELL", 0)
    query = ChartQuery(("fork", "parent", "leaf"), ("loss",), 7, ALL, Ranks.BAND, 0)
    lines = list(read_chart(store, query, DESCENTS, {}))
    assert [line.run_id for line in lines] == ["fork", "parent", "leaf"]
    assert all(bool(line.tier_width) is tier for line in lines)
    for line in lines:
        width, shown = line.bucket_width, SHOWN[line.run_id]
        assert steps(line.count) == tuple(
            sum(x <= s < x + width for s, _ in shown) for x in steps(line.x)
        )
        for x, first, last, mean in zip(
            steps(line.x), *(floats(c) for c in (line.first, line.last, line.mean)), strict=True
        ):
            inside = [value for s, value in shown if x <= s < x + width]
            assert (first, last) == (inside[0], inside[-1])
            assert mean == pytest.approx(sum(inside) / len(inside))


def test_history_metrics_and_axes_follow_the_lineage(store):
    for run_id, shown in SHOWN.items():
        found = list(
            read_history(store, HistoryQuery(run_id, "loss", 0, ALL), DESCENTS[run_id], {})
        )
        points = [pair for c in found for pair in zip(steps(c.step), floats(c.value), strict=True)]
        assert points == shown
        loss, gpu = read_metrics(store, NamesQuery(), [DESCENTS[run_id]], {}).metrics
        assert (loss.name, loss.count, loss.first_step) == ("loss", len(shown), 0)
        assert (loss.last_step, loss.last_value) == shown[-1]
        own = sum(run == siphash64(run_id) for run, *_ in LOGGED)
        assert (gpu.name, gpu.count) == ("system/gpu", 3 * own)


def test_metrics_of_the_system_are_one_line_over_all_attempts(store):
    query = HistoryQuery("leaf", "system/gpu", 0, ALL)
    (chunk,) = read_history(store, query, DESCENTS["leaf"], {})
    assert floats(chunk.value) == (4.0, 4.0, 4.0, 5.0, 5.0, 5.0)
    chart = ChartQuery(("leaf", "parent"), ("system/gpu", "loss"), 1000, ALL, Ranks.BAND, 0)
    lines = {(line.run_id, line.metric): line for line in read_chart(store, chart, DESCENTS, {})}
    assert floats(lines["leaf", "system/gpu"].last) == (4.0, 4.0, 4.0, 5.0, 5.0, 5.0)
    assert sum(steps(lines["leaf", "loss"].count)) == 450


@pytest.mark.parametrize("run_id", list(DESCENTS))
def test_an_export_follows_the_lineage_and_goes_on_behind_any_chunk(store, monkeypatch, run_id):
    monkeypatch.setattr("stepline_ingest.query.export.CHUNK_ROWS", 100)
    monkeypatch.setitem(read_export.__globals__["IN_ORDER"], "max_block_size", 100)

    def read(after: bytes = b"", *, all_attempts: bool = False) -> Iterator[tuple[bytes, list]]:
        query = ExportQuery(run_id, (), (), ALL, all_attempts, Cursor.unpack(after))
        for chunk in read_export(store, query, DESCENTS[run_id], {}):
            metrics = [part.metric for part in chunk.slices for _ in range(part.rows)]
            yield (
                chunk.cursor,
                list(zip(metrics, steps(chunk.step), floats(chunk.value), strict=True)),
            )

    chunks = list(read())
    whole = [row for _, rows in chunks for row in rows]
    assert sorted(r[1:] for r in whole if r[0] == "loss") == SHOWN[run_id]
    seen = 0
    for cursor, rows in chunks:
        seen += len(rows)
        assert [row for _, rest in read(cursor) for row in rest] == whole[seen:]
    everything = sum(
        end - begin + 3 for run, _, begin, end, _ in LOGGED if run == siphash64(run_id)
    )
    of_others = {"parent": 0, "fork": 301, "leaf": 351}[run_id]
    assert sum(len(rows) for _, rows in read(all_attempts=True)) == everything + of_others
