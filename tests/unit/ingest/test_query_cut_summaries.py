"""Promise: the statistics of an attempt that is shown from one step to another only are those of
the points between them, however they are read, and reading them from cells reads no long series.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest

from stepline_ingest.lineage import STEP_END, STEP_MIN, Segment
from stepline_ingest.query import cut_summaries
from stepline_ingest.query.summaries import MetricSummary, summarize
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store
from tests.support.points import Point, block

RUN, ATTEMPT = 11, 3
BEGIN, END = -50_000, 250_000
CUTS = (
    # From, to, and whether the attempt has nothing below.
    (STEP_MIN, 150_000, True),
    (STEP_MIN, -49_873, True),
    (-32_768, 131_072, False),
    (-17, 200_001, False),
    (40_960, STEP_END, False),
    (70_000, 70_001, False),
    (4_000_000, STEP_END, False),
)


def a_random_store(rng: random.Random) -> list[Point]:
    """Long series, and ones that begin late, end early, or are sparse; at several ranks."""
    points = []
    for metric in range(8):
        for rank in range(rng.choice([1, 3])):
            begin, end = sorted(rng.sample(range(BEGIN, END), 2))
            if metric < 3:
                begin, end = BEGIN, END
            steps = range(begin + rng.randrange(99), end, rng.choice([701, 3_000, 20_011]))
            for seq, step in enumerate(steps, 1):
                value = rng.choice(
                    [0.0, -0.0, math.nan, math.inf, *(rng.randrange(50) for _ in "123")]
                )
                fixed = {"run": RUN, "attempt": ATTEMPT, "metric": metric, "rank": rank}
                points.append(Point(**fixed, step=step, value=float(value), seq=seq, writer=rank))
    return points


def counted(points: Iterable[Point], first: int, end: int) -> dict[int, MetricSummary]:
    """The model."""
    series: dict[tuple[int, int], list[Point]] = {}
    for point in sorted(points, key=lambda point: point.step):
        if first <= point.step < end:
            series.setdefault((point.metric, point.rank), []).append(point)
    found: dict[int, MetricSummary] = {}
    for (metric, rank), shown in series.items():
        finite = [point for point in shown if math.isfinite(point.value)] or [
            Point(step=0, seq=0, value=0.0)
        ]
        low = min(finite, key=lambda p: (p.value, math.copysign(1, p.value), p.step))
        high = min(finite, key=lambda p: (-p.value, -math.copysign(1, p.value), p.step))
        found.setdefault(metric, MetricSummary()).add(
            rank,
            len(shown),
            sum(not math.isfinite(point.value) for point in shown),
            shown[0].step,
            shown[-1].step,
            finite[0].value,
            finite[-1].value,
            sum(point.value for point in finite),
            low.value,
            low.step,
            high.value,
            high.step,
        )
    return found


@pytest.mark.parametrize("built", [True, False], ids=["rollups", "no rollups"])
def test_what_is_between_two_steps(
    embedded: Store, monkeypatch: pytest.MonkeyPatch, built: bool
) -> None:
    rng = random.Random(built)
    points = a_random_store(rng)
    for number in range(3):
        part = points[number::3]
        embedded.insert_points([block(part)], rows=len(part), token=f"cut-{number}")
    if built:
        build_rollups(embedded)
    for first, end, whole in CUTS:
        expected = repr(sorted(counted(points, first, end).items()))
        for few in (-1, 10**9):
            monkeypatch.setattr(cut_summaries, "FEW_POINTS", few)
            found: dict[int, MetricSummary] = {}
            summarize(embedded, (Segment(RUN, ATTEMPT, first, end, whole),), None, {}, found)
            assert repr(sorted(found.items())) == expected, (first, end, few)


def test_a_long_series_is_not_read(embedded: Store) -> None:
    steps, shown = 1_000_000, 700_001
    embedded.command(
        "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, "
        f"received) SELECT {RUN}, 1, 0, {ATTEMPT}, number, number, number, 1, number + 1, "
        f"toDateTime(1790000000) FROM numbers({steps})"
    )
    build_rollups(embedded)
    found: dict[int, MetricSummary] = {}
    limited = {"max_rows_to_read": 50_000}
    summarize(embedded, (Segment(RUN, ATTEMPT, STEP_MIN, shown, True),), None, limited, found)
    assert (found[1].count, found[1].last[0], found[1].max) == (shown, shown - 1, shown - 1)
    assert found[1].mean == pytest.approx((shown - 1) / 2)
