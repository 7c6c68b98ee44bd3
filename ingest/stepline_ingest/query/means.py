"""Means that do not depend on the order in which values were added.

A sum of doubles changes in its last bits with the order of adding, and that order changes when the
engine merges parts. So a mean is shown on a grid that is coarser than any order can move it: the
multiples of Q, a power of two near 2^-35 x count x the largest magnitude of the bucket (for 1,000
points eight digits of it). A sum of n values lies within n x 2^-53 x n x magnitude of the exact one
whatever the order, so the nearest multiple is known, but for one bucket in some 40,000, which lies
near the middle between two. Such a bucket is added up exactly.

The middle is not taken in the middle but at MIDDLE: means of round numbers have an exact half more
often than chance, and would have to be added up each time.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .blocks import Array
from .cells import Cells, value_of_bits

MIDDLE = 0.5703125 + 1 / 3 / 256
"""Where a multiple of Q ends and the next one begins, in units of Q."""
_DIGITS = 35
_LEAST_DIGITS = 12
"""Of the largest magnitude, however many points there are."""


def shown_means(cells: Cells) -> tuple[Array, Array]:
    """The means that are known, and the rows where they are not."""
    finite = (cells["points"] - cells["nonfinite"]).astype(np.int64)
    low = value_of_bits(cells["low"]).view(np.float64)
    high = value_of_bits(cells["high"]).view(np.float64)
    with np.errstate(all="ignore"):
        unit = _unit(np.maximum(np.abs(low), np.abs(high)), finite)
        scaled = np.ldexp(cells["total"] / finite, -unit) + (1 - MIDDLE)
        nearest = np.floor(scaled)
        # What adding can be wrong by, and the division and the addition above, in units of Q.
        slack = np.ldexp(1.5 * finite, _exponent(low, high) - 53 - unit) + 2.0**-16
        doubtful = ~((scaled - nearest > slack) & (nearest + 1 - scaled > slack))
        mean = np.clip(np.ldexp(nearest, unit), low, high)
    return mean, np.flatnonzero(doubtful & (finite > 0) & (low != high))


def exact_mean(total: Fraction, count: int, low: float, high: float) -> float:
    """What `shown_means` finds where it is sure, for the exact sum."""
    unit = int(_unit(np.float64(max(abs(low), abs(high))), np.int64(count)))
    scaled = total / count / Fraction(2) ** unit + 1 - Fraction(MIDDLE)
    return min(max(float(np.ldexp(float(math.floor(scaled)), unit)), low), high)


def _exponent(low: Array, high: Array) -> Array:
    return np.frexp(np.maximum(np.abs(low), np.abs(high)))[1].astype(np.int64)


def _unit(magnitude: Array, count: Array) -> Array:
    """The exponent of Q."""
    exponent = np.frexp(magnitude)[1].astype(np.int64)
    digits = _DIGITS - np.frexp(count.astype(np.float64))[1].astype(np.int64)
    result: Array = exponent - np.maximum(digits, _LEAST_DIGITS)
    return result
