"""Statistics of series of which some points have expired: what is stored and what is kept,
together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .blocks import Array
from .buckets import high_step, low_step, unpacked_value

Key = tuple[int, ...]
Place = tuple[int, int]
"""In the order of logging: the step, and what orders equal ones."""
Ends = Callable[[Sequence[Key]], Mapping[Key, tuple[Place, Place]]]
"""Where the first and the last finite point that is stored of some series lie."""


class Row(NamedTuple):
    """In the order of MetricSummary.add, behind the rank."""

    points: int
    nonfinite: int
    first_step: int
    last_step: int
    first_value: float
    last_value: float
    total: float
    low: float
    low_step: int
    high: float
    high_step: int

    @property
    def finite(self) -> bool:
        return self.points > self.nonfinite


def kept_rows(
    found: Mapping[str, Array], keys: Sequence[str]
) -> Iterator[tuple[Key, Row, Place, Place]]:
    """Of what kept_statistics() found: key, row, and where its first and last finite value lie."""
    if not found:
        return
    columns: list[list[Any]] = [
        found[name].tolist()
        for name in ("points", "nonfinite", "step0", "step1", "head", "tail", "sum")
    ]
    columns += [unpacked_value(found["low"]).tolist(), low_step(found["low"]).tolist()]
    columns += [unpacked_value(found["high"]).tolist(), high_step(found["high"]).tolist()]
    places = [
        zip(*(found[name][h].tolist() for h in ("high", "low")), strict=True) for name in _ENDS
    ]
    keyed = zip(*(found[name].tolist() for name in keys), strict=True)
    for key, row, head, tail in zip(keyed, zip(*columns, strict=True), *places, strict=True):
        yield key, Row(*row), head, tail


_ENDS = ("head_key", "tail_key")


def together(
    stored: Mapping[Key, Row], kept: Sequence[tuple[Key, Row, Place, Place]], ends: Ends
) -> dict[Key, Row]:
    """One row for each key."""
    mixed = [
        key for key, row, _, tail in kept if key in stored and _unclear(stored[key], row, tail)
    ]
    known = ends(mixed) if mixed else {}
    found = dict(stored)
    for key, row, head, tail in kept:
        if key in stored:
            later = ((math.inf, 0), (math.inf, 0))
            found[key] = _joined(stored[key], row, (head, tail), known.get(key, later))
        else:
            found[key] = row
    return found


def _unclear(stored: Row, kept: Row, tail: Place) -> bool:
    """Whether it cannot be told which of the values comes first. Months expire in order, so mostly
    what is stored lies behind."""
    return stored.finite and kept.finite and tail[0] >= stored.first_step


def _joined(stored: Row, kept: Row, old: tuple[Place, Place], own: tuple[Any, Any]) -> Row:
    both = stored.finite and kept.finite
    extremes = stored if stored.finite else kept
    low, high = (extremes.low, extremes.low_step), (extremes.high, extremes.high_step)
    total, first, last = extremes.total, extremes.first_value, extremes.last_value
    if both:
        low = _least(stored, kept)
        high = _greatest(stored, kept)
        total = stored.total + kept.total
        first = kept.first_value if old[0] < own[0] else stored.first_value
        last = kept.last_value if old[1] > own[1] else stored.last_value
    return Row(
        stored.points + kept.points,
        stored.nonfinite + kept.nonfinite,
        min(stored.first_step, kept.first_step),
        max(stored.last_step, kept.last_step),
        first,
        last,
        total,
        *low,
        *high,
    )


def _least(a: Row, b: Row) -> tuple[float, int]:
    _, step, value = min((_zeros(one.low), one.low_step, one.low) for one in (a, b))
    return value, step


def _greatest(a: Row, b: Row) -> tuple[float, int]:
    _, step, value = min((_negated(one.high), one.high_step, one.high) for one in (a, b))
    return value, step


def _zeros(value: float) -> tuple[float, float]:
    """An order in which -0.0 comes before 0.0."""
    return value, math.copysign(1.0, value)


def _negated(value: float) -> tuple[float, float]:
    return -value, -math.copysign(1.0, value)
