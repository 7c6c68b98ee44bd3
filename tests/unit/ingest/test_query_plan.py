"""Promise: the pieces of a plan hold every visible point once, and a tier cell only when all of it
is wanted.
"""

from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.lineage import STEP_END, Descent, Segment
from stepline_ingest.query.grid import grid
from stepline_ingest.query.plan import Extent, Piece, Read, reads, wants_tier

RUN, FORK = 7, 8
STARTS = st.dictionaries(st.integers(1, 4), st.integers(-300, 300), min_size=1, max_size=4)


def lineage(first_steps, run=RUN, fork=None):
    descent = fork or Descent(run)
    for number in sorted(first_steps):
        descent = descent.begun(number)
    return descent.lineage(first_steps)


@given(STARTS, STARTS, st.data(), st.integers(1, 30), st.booleans())
def test_reads_hold_each_visible_point_once_for_each_line(starts, of_fork, data, points, tier):
    parent = lineage(starts)
    fork = Descent.of_fork(FORK, parent, data.draw(st.integers(-300, 300)))
    shown = {RUN: parent, FORK: lineage(of_fork, FORK, fork)}
    low = min([*starts.values(), *of_fork.values()])
    lo = data.draw(st.none() | st.integers(-320, 300))
    hi = data.draw(st.none() | st.integers(-300, 320))
    bounds = (low if lo is None else max(lo, low), 320 if hi is None else hi)
    if bounds[0] >= bounds[1]:
        return
    g = grid(*bounds, points, (4, 16))
    # A bound that cuts nothing off is no bound.
    lo = None if lo is None or lo <= low else lo
    plan = reads(shown, g, lo, hi, tier=tier)
    stored = [(RUN, a, s) for a, first in starts.items() for s in range(first, 320)]
    stored += [(FORK, a, s) for a, first in of_fork.items() for s in range(first, 320)]
    for run, attempt, step in stored:
        holders = [
            read.lines or (run,)
            for read in plan
            if run in read.runs
            and read.piece.attempt == attempt
            and read.piece.from_step <= step < read.piece.to_step
        ]
        wanted = {
            line
            for line, segments in shown.items()
            for s in segments
            if s.holds(run, attempt)
            and s.from_step <= step < s.to_step
            and (lo is None or lo <= step)
            and (hi is None or step < hi)
            and g.origin <= step < g.end
        }
        assert sorted(line for lines in holders for line in lines) == sorted(wanted)
        assert len(holders) <= 1, "a point is read once"
    for read in plan:
        p = read.piece
        assert p.from_step < p.to_step
        assert p.tier in (0, g.tier)
        if p.tier:
            assert tier
            assert p.from_step % p.tier == p.to_step % p.tier == 0
            assert g.origin <= p.from_step
            assert p.to_step <= g.end


def test_a_whole_run_is_one_read_of_cells():
    g = grid(0, 1_000_000, 1000, (128, 2048))
    shown = {run: lineage({1: 0}, run) for run in (RUN, FORK)}
    assert reads(shown, g, None, None, tier=True) == [Read(Piece(1, 0, g.end, 128), (RUN, FORK))]


def test_edges_are_raw_where_the_request_cuts_and_where_an_attempt_takes_over():
    g = grid(100, 900_000, 1000, (128, 2048))
    assert g.tier == 128
    plan = reads({RUN: lineage({1: 0, 2: 500_001})}, g, 100, 900_000, tier=True)
    assert [read.piece for read in plan] == [
        Piece(1, 100, 128, 0),
        Piece(1, 128, 499_968, 128),
        Piece(1, 499_968, 500_001, 0),
        Piece(2, 499_968, 899_968, 128),
        Piece(2, 899_968, 900_000, 0),
    ]


def test_what_a_run_and_its_forks_show_is_read_once():
    g = grid(0, 900_000, 1000, (128, 2048))
    parent = lineage({1: 0})
    forks = {
        8: (Segment(RUN, 1, 0, 500_000), Segment(8, 1, 500_000, STEP_END, True)),
        9: (Segment(RUN, 1, 0, 256_000), Segment(9, 1, 256_000, STEP_END, True)),
    }
    plan = reads({RUN: parent, **forks}, g, None, None, tier=True)
    assert [(r.piece.from_step, r.piece.to_step, r.piece.tier, r.runs, r.lines) for r in plan] == [
        (0, 256_000, 128, (RUN,), (RUN, 8, 9)),
        (256_000, 499_968, 128, (RUN,), (RUN, 8)),
        (256_000, g.end, 128, (9,), ()),
        (499_968, 500_000, 0, (RUN,), (RUN, 8)),
        (499_968, g.end, 128, (8,), ()),
        (500_000, 500_096, 0, (RUN,), ()),
        (500_096, g.end, 128, (RUN,), ()),
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
