"""Promise: at every step exactly the newest attempt that has begun there is visible, through
resumes, rewinds, forks, and attempts that were brought back.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.lineage import (
    STEP_END,
    STEP_MIN,
    Descent,
    Lineage,
    Segment,
    clip,
    uncut,
)

RUN, OTHER = 7, 8
STEPS = st.one_of(
    st.integers(-20, 20),
    st.integers(STEP_MIN, STEP_END - 1),
    st.sampled_from([STEP_MIN, STEP_END - 1]),
)


@dataclass(frozen=True)
class Begin:
    attempt: int
    told: int | None = None


@dataclass(frozen=True)
class BringBack:
    attempt: int
    step: int


@dataclass
class Made:
    """A descent, what was done to get it, and the first steps of the attempts that have logged."""

    descent: Descent
    turns: list[Begin | BringBack]
    first_steps: dict[int, int]

    @property
    def shown(self) -> Lineage:
        return self.descent.lineage(self.first_steps)


@st.composite
def descents(draw, fork: Descent | None = None, run: int = RUN) -> Made:
    made = Made(fork or Descent(run), [], {})
    for number in range(1, draw(st.integers(1, 6)) + 1):
        begin = Begin(number, draw(st.none() | STEPS))
        made.turns.append(begin)
        made.descent = made.descent.begun(number, begin.told)
        if draw(st.booleans()):
            made.first_steps[number] = draw(STEPS)
        while draw(st.integers(0, 2)) == 2:
            back = BringBack(draw(st.integers(1, number)), draw(STEPS))
            made.turns.append(back)
            made.descent = made.descent.brought_back(back.attempt, back.step)
    return made


def visible(made: Made, step: int) -> tuple[int, int] | None:
    """The definition, step by step: (run, attempt)."""
    turns = list(made.turns)
    while turns:
        turn = turns.pop()
        if isinstance(turn, BringBack):
            if step >= turn.step:
                began = next(t for t in turns if isinstance(t, Begin) and t.attempt == turn.attempt)
                turns = turns[: turns.index(began) + 1]
            continue
        begins = [s for s in (turn.told, made.first_steps.get(turn.attempt)) if s is not None]
        if begins and step >= min(begins):
            return made.descent.run, turn.attempt
    held = [s for s in made.descent.base if s.from_step <= step < s.to_step]
    return (held[0].run, held[0].attempt) if held else None


def probes(made: Made) -> list[int]:
    marks = [getattr(turn, "told", None) or getattr(turn, "step", 0) for turn in made.turns]
    marks += [*made.first_steps.values(), 0]
    marks += [mark for s in made.descent.base for mark in (s.from_step, s.to_step)]
    around = {m + d for m in marks for d in (-1, 0, 1)}
    return sorted(s for s in around if STEP_MIN <= s < STEP_END)


def holders(segments, step: int) -> list[tuple[int, int | None]]:
    return [(s.run, s.attempt) for s in segments if s.from_step <= step < s.to_step]


def check(made: Made) -> None:
    segments = made.shown
    if made.descent.single:
        assert segments == (Segment(made.descent.run, 1, STEP_MIN, STEP_END),)
        return
    assert all(s.from_step < s.to_step for s in segments)
    assert all(a.to_step <= b.from_step for a, b in itertools.pairwise(segments))
    for step in probes(made):
        expected = visible(made, step)
        assert holders(segments, step) == ([] if expected is None else [expected]), step
    for s in segments:
        if s.whole_below:
            assert s.from_step <= made.first_steps.get(s.attempt, STEP_END), s


@given(descents())
def test_every_step_shows_the_newest_attempt_that_has_begun(made):
    check(made)


@given(descents(run=OTHER), STEPS, st.data())
def test_a_fork_shows_what_the_other_run_showed_up_to_its_step(parent, step, data):
    fork = Descent.of_fork(RUN, parent.shown, step)
    for probe in [*probes(parent), step]:
        if probe <= step and holders(parent.shown, probe):
            assert holders(fork.base, probe) == holders(parent.shown, probe)
        assert probe <= step or not holders(fork.base, probe)
    check(data.draw(descents(fork)))


@given(descents(), STEPS, STEPS)
def test_clip_keeps_what_lies_in_the_range(made, lo, hi):
    segments = made.shown
    clipped = clip(segments, lo, hi)
    for step in [*probes(made), lo, hi - 1, hi]:
        assert holders(clipped, step) == (holders(segments, step) if lo <= step < hi else [])


def test_a_resumed_run():
    descent = Descent.of_attempts(RUN, [1, 2, 3])
    assert descent.lineage({1: 0, 2: 100, 3: 50}) == (
        Segment(RUN, 1, 0, 50),
        Segment(RUN, 3, 50, STEP_END),
    )


def test_a_rewind_counts_before_it_has_logged():
    descent = Descent(RUN).begun(1).begun(2, 501)
    kept = Segment(RUN, 1, 0, 501)
    assert descent.lineage({1: 0}) == (kept, Segment(RUN, 2, 501, STEP_END))
    # What it logs below its beginning is not hidden: it begins there.
    assert descent.lineage({1: 0, 2: 400})[0] == Segment(RUN, 1, 0, 400)


def test_what_was_brought_back_is_what_the_run_showed_then():
    descent = Descent.of_attempts(RUN, [1, 2, 3]).brought_back(2, 80)
    assert descent.lineage({1: 0, 2: 100, 3: 50}) == (
        Segment(RUN, 1, 0, 50),
        Segment(RUN, 3, 50, 80),
        Segment(RUN, 1, 80, 100),
        Segment(RUN, 2, 100, STEP_END),
    )


def test_late_points_of_the_oldest_attempt_belong_to_a_fork_too():
    parent = Descent.of_attempts(OTHER, [1, 2]).lineage({1: 10, 2: 20})
    base = Descent.of_fork(RUN, parent, 29).base
    assert base == (Segment(OTHER, 1, STEP_MIN, 20), Segment(OTHER, 2, 20, 30))
    assert not any(s.whole_below for s in base)


def test_bringing_back_and_forth_does_not_pile_up():
    descent = Descent(RUN).begun(1)
    for number in range(2, 100):
        descent = descent.begun(number, 10 * number).brought_back(number - 1, STEP_MIN)
    assert len(descent.layers) < 99 * 99 / 2 + 3 * 99


def test_all_attempts_of_what_is_not_cut():
    assert uncut(RUN)[0].holds(RUN, 1)
    assert uncut(RUN)[0].holds(RUN, 9)
    assert not uncut(RUN)[0].holds(OTHER, 1)
