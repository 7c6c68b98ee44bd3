"""Promise: buckets suit each run, within the budget of each, and few statements read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline._core import siphash64
from stepline_ingest.query.grid import grid
from stepline_ingest.query.panels import panels
from stepline_ingest.query.plan import Extent
from stepline_ingest.query.request import ChartQuery, Range, Ranks
from stepline_ingest.query.series import Series, Shown
from stepline_ingest.schema import tiers

METRICS = ("loss", "eval")


def shown(spans: dict[int, tuple[int, int]], metric: str = "loss") -> list[Shown]:
    """Each run with the steps that it logged."""
    return [
        Shown(
            run,
            Series(run, siphash64(metric), 1, (0,), Extent(1, stop - first, first, stop - 1)),
            first,
            stop,
        )
        for run, (first, stop) in spans.items()
    ]


def query(points: int = 1000, *, common: bool = False, **steps: int) -> ChartQuery:
    within = Range(steps.get("start"), steps.get("stop"))
    return ChartQuery(("a",), METRICS, points, within, Ranks.BAND, 0, common_grid=common)


def test_a_short_run_beside_a_long_one_keeps_its_shape():
    long, short, alike = 1, 2, 3
    spans = {long: (0, 1_000_000), short: (0, 2_000), alike: (100, 900_000)}
    wide, narrow = panels(query(), shown(spans))
    assert wide.views == (long, alike)
    assert narrow.views == (short,)
    assert wide.grid.width == 1024
    assert narrow.grid.width == 4
    assert narrow.grid.count == 500


def test_one_grid_for_all_when_it_is_asked_for():
    spans = {1: (0, 1_000_000), 2: (0, 2_000)}
    (panel,) = panels(query(common=True), shown(spans))
    assert panel.views == (1, 2)
    assert panel.grid.width == 1024


def test_what_the_request_cuts_counts_not_what_is_stored():
    spans = {1: (0, 1_000_000), 2: (0, 2_000)}
    (panel,) = panels(query(start=0, stop=1_000), shown(spans))
    assert panel.views == (1, 2)
    assert panel.grid.width == 1


def test_metrics_with_equal_grids_are_read_together():
    spans = {1: (0, 1_000_000), 2: (0, 2_000)}
    both = [one for metric in METRICS for one in shown(spans, metric)]
    assert [len(panel.metrics) for panel in panels(query(), both)] == [2, 2]


@pytest.mark.parametrize("points", [1, 2])
def test_buckets_that_show_no_shape_are_the_same_for_all(points):
    assert len(panels(query(points), shown({1: (0, 1_000_000), 2: (0, 2_000)}))) == 1


SPAN = st.tuples(st.integers(-(2**40), 2**40), st.integers(1, 2**40)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@given(st.lists(SPAN, min_size=1, max_size=30), st.integers(3, 3000))
def test_every_run_has_buckets_about_as_narrow_as_alone_within_the_budget(spans, points):
    found = panels(query(points), shown(dict(enumerate(spans))))
    assert len(found) <= 42, "one for each power of two at most"
    for panel in found:
        for view in panel.views:
            first, stop = spans[view]
            width = panel.grid.width
            buckets = (stop - 1) // width - first // width + 1
            assert buckets <= points
            assert width <= 3 * grid(first, stop, points, tiers.WIDTHS).width
            assert panel.grid.origin <= first
            assert stop <= panel.grid.end
            assert panel.grid.origin % width == 0
