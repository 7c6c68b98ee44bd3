"""From the packed results of the engine to the columns of a chart.

An extreme comes as 128 bits: above, the value as an integer that orders like it; below, its step,
such that the earliest step wins a tie.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .blocks import Array
from .grid import Grid

COLUMNS = ("x", "min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite")
"""The columns of ChartLine; each entry has 8 bytes."""

_SIGN = np.uint64(1 << 63)
_REST = np.int64((1 << 63) - 1)


def chart_columns(grid: Grid, result: Mapping[str, Array]) -> dict[str, Array]:
    """COLUMNS from a result of chart_sql, and "moment" where it has that. Where a bucket has no
    finite value there is no extreme: NaN, at x.
    """
    points, nonfinite = result["points"], result["nonfinite"]
    finite = points - nonfinite
    none = finite == 0
    x = _x(grid, result["bucket"])
    with np.errstate(invalid="ignore"):
        mean = result["total"] / finite
    moments = {"moment": result["moment"]} if "moment" in result else {}
    return {
        **moments,
        "x": x,
        "min": np.where(none, np.nan, unpacked_value(result["low"])),
        "max": np.where(none, np.nan, unpacked_value(result["high"])),
        "mean": mean,
        "first": np.where(none, np.nan, result["first"]),
        "last": np.where(none, np.nan, result["last"]),
        "argmin": np.where(none, x, _step(result["low"]["low"])),
        "argmax": np.where(none, x, _step(~result["high"]["low"])),
        "count": points,
        "nonfinite": nonfinite,
    }


def _x(grid: Grid, bucket: Array) -> Array:
    """The first step of each bucket, modulo 2^64, which is right wherever it is an int64."""
    origin, width = np.uint64(grid.origin % 2**64), np.uint64(grid.width % 2**64)
    x: Array = (origin + bucket.astype(np.uint64) * width).view(np.int64)
    return x if grid.origin == grid.first_x else np.where(bucket == 0, np.int64(grid.first_x), x)


def unpacked_value(packed: Array) -> Array:
    """The value of an extreme. Undoes what makes the bits of a double order like it: negative
    numbers have theirs inverted.
    """
    ordered: Array = packed["high"]
    bits: Array = ordered ^ ((ordered >> 63) & _REST)
    return bits.view(np.float64)


def _step(unsigned: Array) -> Array:
    step: Array = unsigned ^ _SIGN
    return step.view(np.int64)
