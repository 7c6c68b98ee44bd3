"""Promise: parts that have their rollups are read from these, the others point by point, and no
point is lost or counted twice, whatever the engine merges meanwhile; and cells that were read
before serve other buckets until points of the run come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stepline._core import siphash64
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import COLUMNS, ChartQuery, Range, Ranks
from stepline_ingest.schema.upkeep import build_rollups
from tests.support.points import Point, block

RUN, OTHER = "live", "other"
METRICS = ("loss",)
PAGE = frozenset(("min", "max", "mean", "count", "nonfinite"))
FRESH = "_part NOT IN"
"""In the statement for the points of parts without rollups."""


class Watched:
    """A store that notes its statements, and calls BEFORE each."""

    def __init__(self, store, before: Callable[[str], None] = lambda sql: None) -> None:
        self._store, self._before = store, before
        self.memo, self.query, self.expired = store.memo, store.query, store.expired
        self.statements: list[str] = []

    def stream_native(self, sql, params=None, settings=None):
        self.statements.append(sql)
        self._before(sql)
        return self._store.stream_native(sql, params, settings)


def put(store, run: str, steps: range, *, ranks: int = 1) -> None:
    """One part."""
    points = [
        Point(
            run=siphash64(run),
            metric=siphash64(metric),
            rank=rank,
            step=step,
            value=((step * 7919 + rank * 31) % 1009) - 500.0 if step % 171 else float("nan"),
            seq=step + 1 if step >= 0 else 10**6 - step,
        )
        for metric in METRICS
        for rank in range(ranks)
        for step in steps
    ]
    store.insert_points(
        [block(points)],
        rows=len(points),
        token=f"{run}-{steps.start}-{steps.stop}",
        runs={siphash64(run)},
    )


def asked(store, *, run: str = RUN, raw: bool = False, **more: Any) -> list[bytes]:
    more = {"steps": Range(None, None), "ranks": Ranks.BAND, "points": 10, **more}
    query = ChartQuery((run,), METRICS, more.pop("points"), more.pop("steps"), rank=0, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "RAW_POINTS", 2**64 if raw else -1)
        patch.setattr(plan, "POINTS_PER_CELL", 0)
        lines = list(read_chart(store, query, {run: Descent.of_attempts(siphash64(run), [1])}, {}))
    for line in lines:
        assert (line.tier_width == 0) is raw
        line.tier_width = 0
    return [line.SerializeToString() for line in lines]


@pytest.fixture
def live(embedded) -> Iterator[Any]:
    """A store in which nothing merges by itself: an older part with rollups, newer ones without."""
    put(embedded, RUN, range(-600, 4_000), ranks=2)
    build_rollups(embedded)
    embedded.command("SYSTEM STOP MERGES raw_points")
    put(embedded, RUN, range(4_000, 4_140), ranks=2)
    put(embedded, RUN, range(4_140, 4_300), ranks=2)
    yield embedded
    embedded.command("SYSTEM START MERGES raw_points")


@pytest.mark.parametrize("ranks", [Ranks.BAND, Ranks.ALL, Ranks.ONE])
@pytest.mark.parametrize("columns", [frozenset(COLUMNS), PAGE], ids=["all", "page"])
def test_parts_with_and_without_rollups_are_one_chart(live, ranks, columns):
    for steps in (Range(-434, 4_201), Range(None, None)):
        wanted = {"ranks": ranks, "columns": columns, "steps": steps}
        watched = Watched(live)
        assert asked(watched, **wanted) == asked(live, **wanted, raw=True)
        assert any(FRESH in sql for sql in watched.statements)


def test_steps_that_overlap_in_two_parts_are_put_in_order(live):
    put(live, RUN, range(3_990, 4_160), ranks=2)
    for ranks in (Ranks.ALL, Ranks.BAND):
        assert asked(live, ranks=ranks) == asked(live, ranks=ranks, raw=True)


@pytest.mark.parametrize("marker", [FRESH, "mergeTreeProjection"])
def test_a_part_that_merges_meanwhile_is_neither_lost_nor_counted_twice(live, marker):
    expected = asked(live, raw=True)
    live.memo.changed()
    left = [1]

    def merge(sql: str) -> None:
        if marker in sql and "tier" not in sql.partition(marker)[0] and left:
            left.pop()
            live.command("SYSTEM START MERGES raw_points")
            live.command("OPTIMIZE TABLE raw_points FINAL")

    assert asked(Watched(live, merge)) == expected
    assert not left


def test_points_of_another_run_do_not_cost_this_one_its_rollups(embedded):
    put(embedded, RUN, range(4_000))
    build_rollups(embedded)
    embedded.command("SYSTEM STOP MERGES raw_points")
    asked(embedded)
    put(embedded, OTHER, range(500))
    watched = Watched(embedded)
    asked(watched, points=5)
    assert not watched.statements
    put(embedded, RUN, range(4_000, 4_100))
    asked(watched, points=5)
    assert any(FRESH in sql for sql in watched.statements)
    embedded.command("SYSTEM START MERGES raw_points")


@pytest.mark.parametrize("ranks", [Ranks.BAND, Ranks.ALL])
def test_cells_that_were_read_serve_other_buckets_and_fewer_steps(embedded, ranks):
    put(embedded, RUN, range(-600, 4_000), ranks=2)
    build_rollups(embedded)
    asked(embedded, points=15, ranks=ranks)
    watched = Watched(embedded)
    within = Range(-512, 2_560)  # whole cells: nothing is cut off
    for wanted in ({"points": 7}, {"points": 8}, {"points": 5, "steps": within}):
        found = asked(watched, ranks=ranks, **wanted)
        assert not [sql for sql in watched.statements if "mergeTreeProjection" in sql]
        assert found == asked(embedded, ranks=ranks, raw=True, **wanted)
    put(embedded, RUN, range(4_000, 4_100), ranks=2)
    assert asked(watched, points=7, ranks=ranks) == asked(embedded, points=7, ranks=ranks, raw=True)
