"""Promise: at every step exactly the newest attempt that has begun there is visible."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.query.lineage import STEP_END, STEP_MIN, Segment, clip, lineage

STEPS = st.one_of(
    st.integers(-20, 20),
    st.integers(STEP_MIN, STEP_END - 1),
    st.sampled_from([STEP_MIN, STEP_END - 1]),
)
STARTS = st.dictionaries(st.integers(1, 8), STEPS, max_size=8)


def visible(starts: dict[int, int], step: int) -> int | None:
    """The definition, point by point."""
    return max((a for a, first in starts.items() if first <= step), default=None)


@given(STARTS, st.lists(STEPS, max_size=20))
def test_every_step_shows_the_newest_attempt_that_has_begun(starts, probes):
    segments = lineage(starts.items())
    for step in [*probes, *starts.values(), *(s - 1 for s in starts.values() if s > STEP_MIN)]:
        holders = [s.attempt for s in segments if s.from_step <= step < s.to_step]
        expected = visible(starts, step)
        assert holders == ([] if expected is None else [expected])


@given(STARTS)
def test_segments_are_in_order_and_begin_at_the_first_step_of_their_attempt(starts):
    segments = lineage(starts.items())
    assert all(s.from_step < s.to_step for s in segments)
    assert all(a.to_step == b.from_step for a, b in itertools.pairwise(segments))
    assert all(s.from_step == starts[s.attempt] for s in segments)
    assert (segments[-1].to_step == STEP_END) if segments else not starts


@given(STARTS, STEPS, STEPS, st.lists(STEPS, max_size=20))
def test_clip_keeps_what_lies_in_the_range(starts, lo, hi, probes):
    segments = lineage(starts.items())
    clipped = clip(segments, lo, hi)
    for step in [*probes, lo, hi - 1, hi]:
        inside = [
            s.attempt for s in segments if s.from_step <= step < s.to_step and lo <= step < hi
        ]
        assert [s.attempt for s in clipped if s.from_step <= step < s.to_step] == inside


def test_a_resumed_run():
    assert lineage([(1, 0), (2, 100), (3, 50)]) == (Segment(1, 0, 50), Segment(3, 50, STEP_END))
