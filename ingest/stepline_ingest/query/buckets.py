"""From the rows of cells.py to the columns of a chart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .blocks import Array
from .cells import NO_HIGH, NO_LOW, PLACE, Cells, step_of_low, value_of_bits
from .grid import Grid

COLUMNS = ("x", "min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite")
"""The columns of ChartLine; each entry has 8 bytes."""


def cells_of_result(result: Mapping[str, Array], constants: Mapping[str, int], grid: Grid) -> Cells:
    """The rows of a cells_statement that lie in GRID.

    An extreme comes as 128 bits: above, the value as an integer that orders like it; below, its
    step, such that the earliest step wins a tie.
    """
    inside = (result["bucket"] >= 0) & (result["bucket"] < grid.count)
    if not inside.all():
        result = {name: column[inside] for name, column in result.items()}
    low, high = result["low"], result["high"]
    none = result["points"] == result["nonfinite"]
    kept = ("bucket", "points", "nonfinite", "first", "last", "total")
    return {
        **with_constants(result, constants),
        **{name: result[name] for name in kept},
        "low": np.where(none, NO_LOW, low["high"]),
        "low_step": step_of_low(low["low"]),
        "high": np.where(none, NO_HIGH, high["high"]),
        "high_step": step_of_low(~high["low"]),
        **({"moment": result["moment"]} if "moment" in result else {}),
    }


def with_constants(result: Mapping[str, Array], constants: Mapping[str, int]) -> dict[str, Array]:
    """The columns that say what a row belongs to, also those that a statement left out."""
    rows = len(next(iter(result.values())))
    return {
        name: result[name].astype(dtype, copy=False)
        if name in result
        else np.full(rows, constants[name], dtype)
        for name, dtype in PLACE.items()
    }


def chart_columns(grid: Grid, cells: Cells, mean: Array) -> dict[str, Array]:
    """COLUMNS, and "moment" where CELLS have that. Where a bucket has no finite value there is no
    extreme: NaN, at x.
    """
    none = cells["points"] == cells["nonfinite"]
    x = _x(grid, cells["bucket"])
    return {
        **({"moment": cells["moment"]} if "moment" in cells else {}),
        "x": x,
        "min": np.where(none, np.nan, value_of_bits(cells["low"]).view(np.float64)),
        "max": np.where(none, np.nan, value_of_bits(cells["high"]).view(np.float64)),
        "mean": np.where(none, np.nan, mean),
        "first": np.where(none, np.nan, cells["first"]),
        "last": np.where(none, np.nan, cells["last"]),
        "argmin": np.where(none, x, cells["low_step"]),
        "argmax": np.where(none, x, cells["high_step"]),
        "count": cells["points"],
        "nonfinite": cells["nonfinite"],
    }


def _x(grid: Grid, bucket: Array) -> Array:
    """The first step of each bucket, modulo 2^64, which is right wherever it is an int64."""
    origin, width = np.uint64(grid.origin % 2**64), np.uint64(grid.width % 2**64)
    x: Array = (origin + bucket.astype(np.uint64) * width).view(np.int64)
    return x if grid.origin == grid.first_x else np.where(bucket == 0, np.int64(grid.first_x), x)


def unpacked_value(packed: Array) -> Array:
    """The value of an extreme as the tiers keep it."""
    high: Array = np.ascontiguousarray(packed["high"])
    return value_of_bits(high).view(np.float64)
