"""Promise: the pieces of a plan hold every visible point once, and a tier cell only when all of it
is wanted.
"""

from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.query.grid import grid
from stepline_ingest.query.lineage import lineage
from stepline_ingest.query.plan import Extent, Piece, pieces, wants_tier

STARTS = st.dictionaries(st.integers(1, 4), st.integers(-300, 300), min_size=1, max_size=4)


@given(STARTS, st.data(), st.integers(1, 30), st.booleans())
def test_pieces_hold_each_visible_point_once(starts, data, points, tier):
    lines = lineage(starts.items())
    low = min(starts.values())
    lo = data.draw(st.none() | st.integers(-320, 300))
    hi = data.draw(st.none() | st.integers(-300, 320))
    bounds = (low if lo is None else max(lo, low), 320 if hi is None else hi)
    if bounds[0] >= bounds[1]:
        return
    g = grid(*bounds, points, (4, 16))
    read = pieces(lines, g, lo, hi, tier=tier)
    for attempt, first in starts.items():
        for step in range(first, g.end):
            wanted = (
                any(s.attempt == attempt and s.from_step <= step < s.to_step for s in lines)
                and (lo is None or lo <= step)
                and (hi is None or step < hi)
            )
            holders = [p for p in read if p.attempt == attempt and p.from_step <= step < p.to_step]
            assert len(holders) == wanted, (attempt, step, holders)
    for p in read:
        assert p.from_step < p.to_step
        assert p.tier in (0, g.tier)
        if p.tier:
            assert tier
            assert p.from_step % p.tier == p.to_step % p.tier == 0
            assert g.origin <= p.from_step
            assert p.to_step <= g.end


def test_a_whole_run_is_one_read_of_cells():
    g = grid(0, 1_000_000, 1000, (128, 2048))
    assert pieces(lineage([(1, 0)]), g, None, None, tier=True) == [Piece(1, 0, g.end, 128)]


def test_edges_are_raw_where_the_request_cuts_and_where_an_attempt_takes_over():
    g = grid(100, 900_000, 1000, (128, 2048))
    assert g.tier == 128
    assert pieces(lineage([(1, 0), (2, 500_001)]), g, 100, 900_000, tier=True) == [
        Piece(1, 100, 128, 0),
        Piece(1, 128, 499_968, 128),
        Piece(1, 499_968, 500_001, 0),
        Piece(2, 499_968, 899_968, 128),
        Piece(2, 899_968, 900_000, 0),
    ]


def test_a_tier_must_be_cheaper_than_points():
    g = grid(0, 10_000_000, 1000, (128, 2048))
    dense = Extent(1, 10_000_000, 0, 9_999_999)
    sparse = Extent(1, 4_000, 0, 9_999_999)
    assert wants_tier(g, [dense])
    assert not wants_tier(g, [sparse])
    assert not wants_tier(g, [Extent(1, 10_000, 0, 10_000)])
    assert not wants_tier(grid(0, 100, 1000, (128,)), [dense])
    # Nanoseconds as steps: every cell has one point at most, and reading cells would cost more.
    nano = grid(0, 10**18, 1000, (128, 2048))
    assert not wants_tier(nano, [Extent(1, 1_000_000, 0, 10**18)])
