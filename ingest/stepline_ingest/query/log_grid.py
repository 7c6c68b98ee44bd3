"""Buckets that are even in the logarithm of the step.

Their bounds are whole steps, and, as soon as buckets are as wide as a cell of a tier, whole cells:
so the range falls into zones, each of which is read from points or from one tier, cell by cell, and
every cell lies in exactly one bucket. Steps below 1 have no logarithm and share one bucket.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .grid import Grid, single

LEAST_POINTS = 16
"""With fewer, the first buckets would be wider than cells that reach below step 1."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What is read at once: its steps, and the cells that buckets are made of."""

    first: int
    end: int
    cells: Grid


@dataclass(frozen=True, slots=True)
class LogGrid:
    """Bucket i has the steps bounds[i] <= step < bounds[i + 1]."""

    bounds: tuple[int, ...]
    zones: tuple[Zone, ...]


def log_grid(lo: int, hi: int, points: int, tiers: Sequence[int]) -> LogGrid:
    """At most POINTS buckets over lo <= step < hi, which must not be empty."""
    below = [lo] if lo < 1 else []
    zones = [Zone(lo, min(hi, 1), single(lo, min(hi, 1), tiers))] if below else []
    if hi <= 1:
        return LogGrid((lo, hi), tuple(zones))
    bounds, units = _bounds(max(lo, 1), hi, max(points - len(below), 1), tiers)
    for unit, stretch in itertools.groupby(range(len(units)), key=units.__getitem__):
        places = list(stretch)
        first, end = bounds[places[0]], bounds[places[-1] + 1]
        cells = Grid(first, unit, -(-(end - first) // unit), unit if unit > 1 else 0)
        zones.append(Zone(first, end, cells))
    return LogGrid((*below, *bounds), tuple(zones))


def _bounds(lo: int, hi: int, points: int, tiers: Sequence[int]) -> tuple[list[int], list[int]]:
    """Bounds from LO to HI or a little more, and of each bucket the width of its cells."""
    # In doubles, and then whole: the same for everyone who asks the same.
    ideal = np.geomspace(float(lo), float(hi), points + 1).tolist()
    bounds, units = [lo], list[int]()
    for begin, end in itertools.pairwise(ideal):
        unit = max((tier for tier in tiers if tier <= end - begin), default=1)
        unit = max([unit, *units[-1:]])
        bound = min(-(-int(end) // unit) * unit, -(-hi // unit) * unit)
        if bound <= bounds[-1]:
            continue
        if units and unit != units[-1]:
            # The zone before ends on a cell of this one.
            bounds[-1] = -(-bounds[-1] // unit) * unit
            if bound <= bounds[-1]:
                continue
        elif not units and unit > 1:
            bounds[0] = lo // unit * unit
        bounds.append(bound)
        units.append(unit)
    if bounds[-1] < hi:
        bounds[-1] = -(-hi // units[-1]) * units[-1]
    return bounds, units
