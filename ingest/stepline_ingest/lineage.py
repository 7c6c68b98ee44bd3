"""What a run shows: which attempt of which run is visible at which steps. No store, no network.

Resume, rewind, fork and bringing something back are one mechanism. A run shows a *lineage*: a list
of segments (run, attempt, from step, to step), disjoint and in the order of steps. It comes from
the run's *descent*: what a fork began with, and then, turn by turn, what was started. No point is
copied or changed by any of it.

- An attempt wins from its first step on: the least step over all its metrics and ranks, so that
  every chart of a run switches attempts at the same place, also a chart of a metric that the newer
  attempt has not logged yet. One that was told where to begin (a rewind, a fork) wins from there on
  before it has logged anything.
- A fork begins with the segments that the other run showed when it was made, up to and including
  the step of the fork. They are frozen: what becomes of the other run changes no fork.
- Bringing attempt A back from step S on shows from S on what the run showed when A was its newest
  attempt.

Metrics whose names begin with `system/` have times as steps. No attempt supersedes another there,
and they do not count for the first step of an attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STEP_MIN = -(2**63)
STEP_END = 2**63
"""One past the greatest step; ranges of steps are half open and held as Python integers."""
SYSTEM_PREFIX = "system/"
"""Of the names of metrics that lineage does not cut."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps from_step <= step < to_step of one attempt of a run."""

    run: int
    """siphash64(run_id)"""
    attempt: int | None
    """None: all attempts, of a metric that lineage does not cut."""
    from_step: int
    to_step: int
    whole_below: bool = field(default=False, compare=False)
    """The attempt has no point below from_step, so a rollup that reaches below it is whole."""

    def clip(self, lo: int, hi: int) -> Segment | None:
        """The part inside lo <= step < hi; None when nothing is left."""
        start, stop = max(self.from_step, lo), min(self.to_step, hi)
        if start >= stop:
            return None
        whole = self.whole_below and start == self.from_step
        return Segment(self.run, self.attempt, start, stop, whole)

    def holds(self, run: int, attempt: int) -> bool:
        """Whether ATTEMPT of RUN is what it reads."""
        return run == self.run and self.attempt in (None, attempt)


Lineage = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """What changed what a run shows: an attempt began, or was brought back."""

    attempt: int
    step: int | None = None
    """From this step on, whatever was logged; None: from the first step of the attempt on."""
    restores: bool = False
    """Not a beginning: the attempt was brought back."""


@dataclass(frozen=True, slots=True)
class Descent:
    """How a run came to what it shows."""

    run: int
    """siphash64(run_id)"""
    turns: tuple[Turn, ...]
    """The oldest first."""
    base: Lineage = ()
    """What a fork began with."""

    @classmethod
    def of_attempts(cls, run: int, attempts: Iterable[int]) -> Descent:
        """Of a run that was only ever resumed."""
        return cls(run, tuple(Turn(number) for number in sorted(attempts)))

    @property
    def attempts(self) -> list[int]:
        """The numbers of the run's own attempts."""
        return [turn.attempt for turn in self.turns if not turn.restores]

    @property
    def single(self) -> bool:
        """One attempt, which wins everywhere: there is nothing to look up."""
        return len(self.turns) == 1 and not self.base

    def lineage(self, first_steps: Mapping[int, int]) -> Lineage:
        """The segments; FIRST_STEPS gives the first step of those attempts that have logged."""
        if self.single:
            return (Segment(self.run, self.turns[0].attempt, STEP_MIN, STEP_END, True),)
        shown = self.base
        views: dict[int, Lineage] = {}
        for turn in self.turns:
            if turn.restores:
                step = STEP_MIN if turn.step is None else turn.step
                back = clip(views[turn.attempt], step, STEP_END)
                shown = (*clip(shown, STEP_MIN, step), *back)
                continue
            begins = [
                step for step in (turn.step, first_steps.get(turn.attempt)) if step is not None
            ]
            if begins:
                begin = min(begins)
                own = Segment(self.run, turn.attempt, begin, STEP_END, True)
                shown = (*clip(shown, STEP_MIN, begin), own)
            views[turn.attempt] = shown
        return shown

    def every_attempt(self) -> Lineage:
        """All that is stored of the run, and what it was forked from. Attempts overlap."""
        own = (Segment(self.run, number, STEP_MIN, STEP_END, True) for number in self.attempts)
        return (*self.base, *own)


def uncut(run: int) -> Lineage:
    """Of a metric that lineage does not cut: all attempts of the run."""
    return (Segment(run, None, STEP_MIN, STEP_END, True),)


def is_uncut(metric: str) -> bool:
    """Whether lineage does not cut the metric."""
    return metric.startswith(SYSTEM_PREFIX)


def clip(segments: Lineage, lo: int, hi: int) -> Lineage:
    """The parts of SEGMENTS inside lo <= step < hi."""
    return tuple(part for s in segments if (part := s.clip(lo, hi)) is not None)


def frozen(segments: Lineage, end: int) -> Lineage:
    """What a fork before step END keeps of SEGMENTS, which another run shows now."""
    kept = clip(segments, STEP_MIN, end)
    return tuple(
        Segment(
            s.run,
            s.attempt,
            # What is still on its way to the oldest attempt belongs to it wherever it lies.
            STEP_MIN if not number and s.whole_below else s.from_step,
            s.to_step,
        )
        for number, s in enumerate(kept)
    )
