"""Promise: at every step exactly the newest attempt that has begun there is visible, through
resumes, rewinds, forks, and attempts that were brought back.
"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.lineage import (
    STEP_END,
    STEP_MIN,
    Descent,
    Segment,
    Turn,
    clip,
    frozen,
    uncut,
)

RUN, OTHER = 7, 8
STEPS = st.one_of(
    st.integers(-20, 20),
    st.integers(STEP_MIN, STEP_END - 1),
    st.sampled_from([STEP_MIN, STEP_END - 1]),
)


@st.composite
def descents(draw, run: int = RUN, base: tuple[Segment, ...] = ()) -> tuple[Descent, dict]:
    """A descent, and the first steps of the attempts that have logged."""
    turns: list[Turn] = []
    first_steps: dict[int, int] = {}
    for number in range(1, draw(st.integers(1, 6)) + 1):
        turns.append(Turn(number, draw(st.none() | STEPS)))
        if draw(st.booleans()):
            first_steps[number] = draw(STEPS)
        if draw(st.integers(0, 2)) == 0:
            back = draw(st.integers(1, number))
            turns.append(Turn(back, draw(st.none() | STEPS), restores=True))
    return Descent(run, tuple(turns), base), first_steps


def visible(descent: Descent, first_steps: dict, step: int) -> tuple[int, int] | None:
    """The definition, step by step: (run, attempt)."""
    turns = list(descent.turns)
    while turns:
        turn = turns.pop()
        if turn.restores:
            if turn.step is None or step >= turn.step:
                turns = turns[: turns.index(Turn(turn.attempt, _told(descent, turn.attempt))) + 1]
            continue
        begins = [s for s in (turn.step, first_steps.get(turn.attempt)) if s is not None]
        if begins and step >= min(begins):
            return descent.run, turn.attempt
    held = [s for s in descent.base if s.from_step <= step < s.to_step]
    return (held[0].run, held[0].attempt) if held else None


def _told(descent: Descent, attempt: int) -> int | None:
    return next(t.step for t in descent.turns if t.attempt == attempt and not t.restores)


def probes(descent: Descent, first_steps: dict) -> list[int]:
    marks = [t.step for t in descent.turns if t.step is not None] + list(first_steps.values())
    marks += [s.from_step for s in descent.base] + [s.to_step for s in descent.base]
    around = {m + d for m in [*marks, 0] for d in (-1, 0, 1)}
    return sorted(s for s in around if STEP_MIN <= s < STEP_END)


def holders(segments, step: int) -> list[tuple[int, int | None]]:
    return [(s.run, s.attempt) for s in segments if s.from_step <= step < s.to_step]


def check(descent: Descent, first_steps: dict) -> None:
    segments = descent.lineage(first_steps)
    if descent.single:
        assert segments == (Segment(descent.run, 1, STEP_MIN, STEP_END),)
        return
    assert all(s.from_step < s.to_step for s in segments)
    assert all(a.to_step <= b.from_step for a, b in itertools.pairwise(segments))
    for step in probes(descent, first_steps):
        expected = visible(descent, first_steps, step)
        assert holders(segments, step) == ([] if expected is None else [expected]), step
    for s in segments:
        if s.whole_below:
            assert s.from_step <= first_steps.get(s.attempt, STEP_END), s


@given(descents())
def test_every_step_shows_the_newest_attempt_that_has_begun(made):
    check(*made)


@given(descents(OTHER), STEPS, st.data())
def test_a_fork_shows_what_the_other_run_showed_below_its_step(made, end, data):
    parent, first_steps = made
    shown = parent.lineage(first_steps)
    base = frozen(shown, end)
    for step in probes(parent, first_steps):
        if step < end and holders(shown, step):
            assert holders(base, step) == holders(shown, step)
        assert step < end or not holders(base, step)
    check(*data.draw(descents(RUN, base)))


@given(descents(), STEPS, STEPS)
def test_clip_keeps_what_lies_in_the_range(made, lo, hi):
    segments = made[0].lineage(made[1])
    clipped = clip(segments, lo, hi)
    for step in [*probes(*made), lo, hi - 1, hi]:
        assert holders(clipped, step) == (holders(segments, step) if lo <= step < hi else [])


def test_a_resumed_run():
    descent = Descent.of_attempts(RUN, [1, 2, 3])
    assert descent.lineage({1: 0, 2: 100, 3: 50}) == (
        Segment(RUN, 1, 0, 50),
        Segment(RUN, 3, 50, STEP_END),
    )


def test_a_rewind_counts_before_it_has_logged():
    descent = Descent(RUN, (Turn(1), Turn(2, 501)))
    kept = Segment(RUN, 1, 0, 501)
    assert descent.lineage({1: 0}) == (kept, Segment(RUN, 2, 501, STEP_END))
    # What it logs below its beginning is not hidden: it begins there.
    assert descent.lineage({1: 0, 2: 400})[0] == Segment(RUN, 1, 0, 400)


def test_what_was_brought_back_is_what_the_run_showed_then():
    turns = (Turn(1), Turn(2, 100), Turn(3, 50), Turn(2, 80, restores=True))
    first_steps = {1: 0, 2: 100, 3: 50}
    assert Descent(RUN, turns).lineage(first_steps) == (
        Segment(RUN, 1, 0, 50),
        Segment(RUN, 3, 50, 80),
        Segment(RUN, 1, 80, 100),
        Segment(RUN, 2, 100, STEP_END),
    )


def test_late_points_of_the_oldest_attempt_belong_to_a_fork_too():
    base = frozen(Descent.of_attempts(OTHER, [1, 2]).lineage({1: 10, 2: 20}), 30)
    assert base == (Segment(OTHER, 1, STEP_MIN, 20), Segment(OTHER, 2, 20, 30))
    assert not any(s.whole_below for s in base)


def test_all_attempts_of_what_is_not_cut():
    assert uncut(RUN)[0].holds(RUN, 1)
    assert uncut(RUN)[0].holds(RUN, 9)
    assert not uncut(RUN)[0].holds(OTHER, 1)
