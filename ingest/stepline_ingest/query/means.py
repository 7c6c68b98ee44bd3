"""Means that do not depend on the order in which values were added.

A sum of doubles changes in its last bits with the order of adding, and that order changes when the
engine merges parts. So a mean is shown on a grid that is coarser than any order can move it: the
multiples of Q, a power of two near 2^-33 x count x the largest magnitude of the bucket, 2^-20 x the
magnitude at most (for 1,000 points seven digits of it). A sum of n values is wrong by less than
n x 2^-53 x n x magnitude whatever the order, so the nearest multiple is known, but for one bucket
in some 300,000 (more of those with over 8,000 points) that lies near the middle between two. Such a
bucket is added up exactly.

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
_DIGITS, _LEAST_DIGITS = 33, 20
"""Binary ones of the largest magnitude: of one point, and of however many."""


def shown_means(cells: Cells) -> tuple[Array, Array]:
    """The means that are known, and the rows where they are not."""
    finite = (cells["points"] - cells["nonfinite"]).astype(np.float64)
    low = value_of_bits(cells["low"]).view(np.float64)
    high = value_of_bits(cells["high"]).view(np.float64)
    with np.errstate(all="ignore"):
        digits = _digits(finite)
        unit = _exponent(np.maximum(np.abs(low), np.abs(high))) - digits
        scaled = _times_power(cells["total"] / finite, -unit) + (1 - MIDDLE)
        nearest = np.floor(scaled)
        # What adding can be wrong by, and the division and the addition above, in units of Q.
        slack = _times_power(1.5 * finite + 2, digits - 53)
        doubtful = ~((scaled - nearest > slack) & (nearest + 1 - scaled > slack))
        mean = np.clip(_times_power(nearest, unit), low, high)
    return mean, np.flatnonzero(doubtful & (finite > 0) & (low != high))


def exact_mean(total: Fraction, count: int, low: float, high: float) -> float:
    """What `shown_means` finds where it is sure, for the exact sum."""
    unit = math.frexp(max(abs(low), abs(high)))[1] - int(_digits(np.array([count]))[0])
    scaled = total / count / Fraction(2) ** unit + 1 - Fraction(MIDDLE)
    return min(max(float(np.ldexp(float(math.floor(scaled)), unit)), low), high)


def _digits(count: Array) -> Array:
    result: Array = np.maximum(_DIGITS - _exponent(count.astype(np.float64)), _LEAST_DIGITS)
    return result


def _exponent(values: Array) -> Array:
    """That of frexp() for VALUES of 0 and more, as int64; any for what is not finite. NumPy's own
    calls the C library for each value, which takes several times as long."""
    found: Array = (values.view(np.int64) >> 52) - 1022
    tiny = found == -1022
    if tiny.any():
        found[tiny] = np.frexp(values[tiny])[1]
    return found


def _times_power(values: Array, exponents: Array) -> Array:
    """ldexp(), as the product with a power of two where that is a normal number: the same bits."""
    if len(exponents) and not -1022 <= exponents.min() <= exponents.max() <= 1023:
        result: Array = np.ldexp(values, exponents)
        return result
    powers: Array = ((exponents + 1023) << 52).view(np.float64)
    return values * powers
