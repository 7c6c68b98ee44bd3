"""Promise: at most `points` aligned buckets cover the range, whole tier cells each, at every
int64.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepline_ingest.lineage import STEP_END, STEP_MIN
from stepline_ingest.query.grid import Grid, grid

STEPS = st.one_of(
    st.integers(-3000, 3000), st.integers(-(2**40), 2**40), st.integers(STEP_MIN, STEP_END - 1)
)
TIERS = st.sampled_from([(), (64,), (64, 4096, 262144), (128, 2048, 32768)])
RANGES = st.tuples(STEPS, STEPS).map(lambda p: (min(p), max(p) + 1))


@given(RANGES, st.integers(1, 5000), TIERS)
@example((STEP_MIN, STEP_END), 1, (64, 4096))
@example((STEP_MIN, STEP_END), 2, (64, 4096))
@example((STEP_MIN, STEP_END), 3, ())
@example((STEP_MIN, STEP_END), 1000, (128, 2048, 32768))
@example((-1, 1), 1, ())
@example((-1, 1), 2, ())
def test_the_grid_covers_the_range_within_the_budget(bounds, points, tiers):
    lo, hi = bounds
    g = grid(lo, hi, points, tiers)
    assert 1 <= g.count <= points
    assert g.origin <= lo < g.origin + g.width
    assert g.end - g.width < hi <= g.end
    if points > 1:
        assert g.origin % g.width == 0
    ideal = -(-(hi - lo) // points)
    fitting = [t for t in tiers if 3 * -(-ideal // t) * t <= 4 * ideal]
    assert g.tier == max(fitting, default=0)
    if g.tier:
        assert g.width % g.tier == 0
        assert g.origin % g.tier == 0
    assert g.width >= ideal
    if points > 2:
        # A fourth of the budget for whole cells, one bucket for alignment.
        assert 3 * g.width <= 4 * (-(-(hi - lo) // (points - 1)) + g.tier)


@given(RANGES, st.integers(2, 5000), TIERS)
def test_a_range_inside_the_same_buckets_has_buckets_at_the_same_places(bounds, points, tiers):
    lo, hi = bounds
    g = grid(lo, hi, points, tiers)
    same = grid(lo, hi, points, tiers)
    assert g == same
    assert g.first_x == max(g.origin, STEP_MIN)


def test_a_million_steps():
    assert grid(0, 1_000_000, 1000, (128, 2048, 32768)) == Grid(0, 1024, 977, 128)
    assert grid(0, 10_000_000, 1000, (128, 2048, 32768)) == Grid(0, 10240, 977, 2048)
    assert grid(0, 100_000_000, 1000, (128, 2048, 32768)) == Grid(0, 131072, 763, 32768)
    assert grid(0, 100_000, 1000, (128, 2048, 32768)) == Grid(0, 128, 782, 128)
    assert grid(0, 500, 1000, (128,)) == Grid(0, 1, 500, 0)
    assert grid(-10, 10, 4, ()) == Grid(-10, 5, 4, 0)
    assert grid(-11, 8, 4, ()) == Grid(-14, 7, 4, 0)


def test_wide_grids_say_so():
    assert grid(STEP_MIN, STEP_END, 1000, ()).wide
    assert not grid(-(2**61), 2**61, 1000, (64,)).wide


@pytest.mark.parametrize(("lo", "hi", "points"), [(1, 1, 10), (2, 1, 10), (0, 1, 0)])
def test_an_empty_range_has_no_grid(lo, hi, points):
    with pytest.raises(ValueError, match="lo < hi"):
        grid(lo, hi, points, ())
