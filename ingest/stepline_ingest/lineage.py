"""What a run shows: which attempt of which run is visible at which steps. No store, no network.

Resume, rewind, fork and bringing something back are one mechanism. A run is a stack of *layers*,
each an attempt and the steps that it covers; at each step the topmost layer counts. What a run
shows then is its *lineage*: a list of segments (run, attempt, from step, to step), disjoint and in
the order of steps. No point is copied or changed by any of it.

- An attempt covers everything from its first step on: the least step over all its metrics and
  ranks, so that every chart of a run switches attempts at the same place, also a chart of a metric
  that the newer attempt has not logged yet. One that was told where to begin (a rewind, a fork)
  covers from there on before it has logged anything.
- A fork begins with the segments that the other run showed when it was made, up to and including
  the step of the fork. They are frozen: what becomes of the other run changes no fork.
- Bringing attempt A back from step S on covers from S on with what the run showed when A was its
  newest attempt.

Metrics whose names begin with `system/` have times as steps. No attempt supersedes another there,
and they do not count for the first step of an attempt.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Steps first <= step < end of one attempt, which cover the layers below."""

    run: int
    attempt: int
    """0: nothing; the layers below are covered all the same."""
    first: int = STEP_MIN
    end: int = STEP_END
    own: bool = True
    """An attempt of the run itself: its first step counts too."""
    told: int | None = None
    """OWN: the attempt begins here at the latest; None: at its first step."""
    begins: bool = False
    """OWN: here the attempt began; not a layer that was brought back."""

    def begin(self, first_steps: Mapping[int, int]) -> int | None:
        """From where on it covers; None for an attempt without a beginning."""
        if not self.own or not self.attempt:
            return self.first
        known = [s for s in (self.told, first_steps.get(self.attempt)) if s is not None]
        return max(self.first, min(known)) if known else None

    def cut(self, lo: int, hi: int) -> Layer | None:
        """The part inside lo <= step < hi; None when nothing is left."""
        first, end = max(self.first, lo), min(self.end, hi)
        return replace(self, first=first, end=end, begins=False) if first < end else None


@dataclass(frozen=True, slots=True)
class Descent:
    """How a run came to what it shows."""

    run: int
    """siphash64(run_id)"""
    layers: tuple[Layer, ...] = ()
    """The oldest first."""

    @classmethod
    def of_attempts(cls, run: int, attempts: Iterable[int]) -> Descent:
        """Of a run that was only ever resumed."""
        return cls(run, tuple(Layer(run=run, attempt=n, begins=True) for n in sorted(attempts)))

    @classmethod
    def of_fork(cls, run: int, shown: Lineage, step: int) -> Descent:
        """Of a new run that begins with what another one shows now, up to and including STEP."""
        kept = clip(shown, STEP_MIN, step + 1)
        return cls(
            run,
            tuple(
                Layer(
                    run=s.run,
                    attempt=s.attempt or 0,
                    # What is still on its way to the oldest attempt belongs to it wherever it lies.
                    first=STEP_MIN if not number and s.whole_below else s.from_step,
                    end=s.to_step,
                    own=False,
                )
                for number, s in enumerate(kept)
            ),
        )

    @property
    def attempts(self) -> list[int]:
        """The numbers of the run's own attempts."""
        return [layer.attempt for layer in self.layers if layer.begins]

    @property
    def single(self) -> bool:
        """One attempt, which covers everything: there is nothing to look up."""
        return len(self.layers) == 1 and self.layers[0].own

    def begun(self, attempt: int, told: int | None = None) -> Descent:
        """With a new attempt, TOLD to begin at a step or not."""
        new = Layer(run=self.run, attempt=attempt, told=told, begins=True)
        return replace(self, layers=(*self.layers, new))

    def brought_back(self, attempt: int, step: int) -> Descent:
        """With what the run showed when ATTEMPT was its newest one, from STEP on."""
        numbers = [layer.attempt if layer.begins else 0 for layer in self.layers]
        back: list[Layer] = []
        end = STEP_END
        for layer in reversed(self.layers[: numbers.index(attempt) + 1]):
            if not layer.attempt:
                # What was covered for good then need not come again.
                end = min(end, layer.first)
            elif (part := layer.cut(step, end)) is not None:
                back.append(part)
        nothing = Layer(run=self.run, attempt=0, first=step)
        return replace(self, layers=(*self.layers, nothing, *reversed(back)))

    def lineage(self, first_steps: Mapping[int, int]) -> Lineage:
        """The segments; FIRST_STEPS gives the first step of those attempts that have logged."""
        if self.single:
            return (Segment(self.run, self.layers[0].attempt, STEP_MIN, STEP_END, True),)
        shown: list[Segment] = []
        end = STEP_END
        for layer in reversed(self.layers):
            begin = layer.begin(first_steps)
            if begin is None:
                continue
            stop = min(end, layer.end)
            if layer.attempt and begin < stop:
                whole = layer.own and layer.first < begin
                shown.append(Segment(layer.run, layer.attempt, begin, stop, whole))
            end = min(end, begin)
        return tuple(reversed(shown))

    def every_attempt(self) -> dict[int, Lineage]:
        """All that is stored of each attempt of the run; and as 0 what it was forked from."""
        every: dict[int, Lineage] = {0: self.base} if self.base else {}
        for number in self.attempts:
            every[number] = (Segment(self.run, number, STEP_MIN, STEP_END, True),)
        return every

    @property
    def base(self) -> Lineage:
        """What a fork began with."""
        of_others = itertools.takewhile(lambda layer: not layer.own, self.layers)
        return tuple(Segment(s.run, s.attempt, s.first, s.end) for s in of_others)


def uncut(run: int) -> Lineage:
    """Of a metric that lineage does not cut: all attempts of the run."""
    return (Segment(run, None, STEP_MIN, STEP_END, True),)


def is_uncut(metric: str) -> bool:
    """Whether lineage does not cut the metric."""
    return metric.startswith(SYSTEM_PREFIX)


def clip(segments: Lineage, lo: int, hi: int) -> Lineage:
    """The parts of SEGMENTS inside lo <= step < hi."""
    return tuple(part for s in segments if (part := s.clip(lo, hi)) is not None)
