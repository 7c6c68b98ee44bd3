"""Statistics of series of which some points have expired: what is stored and what is kept,
together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from .blocks import Array
from .summary_rows import Ends, Key, Place, Row, joined, taken_apart

ReadEnds = Callable[[Sequence[Key]], Mapping[Key, Ends]]
"""Of the finite points that are stored of some series."""

_NAMES = ("points", "nonfinite", "step0", "step1", "head", "tail", "sum")
_EXTREMES = ("low", "low_step", "high", "high_step")
_PLACES = ("head_key", "tail_key")


def kept_rows(
    found: Mapping[str, Array], keys: Sequence[str]
) -> Iterator[tuple[Key, Row, Place, Place]]:
    """Of what kept_statistics() found: key, row, and where its first and last finite value lie."""
    if not found:
        return
    rows = taken_apart(dict(found), (*_NAMES, *_EXTREMES))
    places = [
        zip(*(found[name][h].tolist() for h in ("high", "low")), strict=True) for name in _PLACES
    ]
    keyed = zip(*(found[name].tolist() for name in keys), strict=True)
    for key, row, head, tail in zip(keyed, rows, *places, strict=True):
        yield key, Row(*row), head, tail


def together(
    stored: Mapping[Key, Row], kept: Sequence[tuple[Key, Row, Place, Place]], ends: ReadEnds
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
            found[key] = joined(stored[key], row, known.get(key, later), (head, tail))
        else:
            found[key] = row
    return found


def _unclear(stored: Row, kept: Row, tail: Place) -> bool:
    """Whether it cannot be told which of the values comes first. Months expire in order, so mostly
    what is stored lies behind."""
    return stored.finite and kept.finite and tail[0] >= stored.first_step
