"""From the rows of cells.py to the columns of a chart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .blocks import Array
from .cells import NO_HIGH, NO_LOW, PLACE, Cells, step_of_low, value_of_bits
from .grid import Grid
from .request import ARGNONFINITE


def cells_of_result(result: Mapping[str, Array], constants: Mapping[str, int], grid: Grid) -> Cells:
    """The rows of a cells_statement that lie in GRID."""
    inside = (result["bucket"] >= 0) & (result["bucket"] < grid.count)
    if not inside.all():
        result = {name: column[inside] for name, column in result.items()}
    return unpacked(result, constants)


def unpacked(result: Mapping[str, Array], constants: Mapping[str, int]) -> Cells:
    """RESULT with the columns of PLACE, and its extremes taken apart.

    An extreme comes as 128 bits: above, the value as an integer that orders like it; below, its
    step, such that the earliest step wins a tie.
    """
    none = result["points"] == result["nonfinite"]
    cells = {
        **with_constants(result, constants),
        **{name: column for name, column in result.items() if name not in (*PLACE, "low", "high")},
    }
    if "low" in result:
        low = result["low"]
        cells["low"] = np.where(none, NO_LOW, low["high"])
        cells["low_step"] = step_of_low(low["low"])
    if "high" in result:
        high = result["high"]
        cells["high"] = np.where(none, NO_HIGH, high["high"])
        cells["high_step"] = step_of_low(~high["low"])
    return cells


def with_constants(result: Mapping[str, Array], constants: Mapping[str, int]) -> dict[str, Array]:
    """The columns that say what a row belongs to, also those that a statement left out."""
    rows = len(next(iter(result.values())))
    return {
        name: result[name].astype(dtype, copy=False)
        if name in result
        else np.full(rows, constants[name], dtype)
        for name, dtype in PLACE.items()
    }


def chart_columns(grid: Grid, cells: Cells) -> dict[str, Array]:
    """The columns of ChartLine that CELLS have what is needed for, and "moment". Where a bucket has
    no finite value there is no extreme: NaN, at x.
    """
    none = cells["points"] == cells["nonfinite"]
    x = bucket_x(grid, cells["bucket"])
    found = {"x": x, "count": cells["points"], "nonfinite": cells["nonfinite"]}
    for extreme, name in (("low", "min"), ("high", "max")):
        if extreme in cells:
            values = value_of_bits(cells[extreme]).view(np.float64)
            found[name] = np.where(none, np.nan, values)
            found[f"arg{name}"] = np.where(none, x, cells[f"{extreme}_step"])
    for name in ("mean", "first", "last"):
        if name in cells:
            found[name] = np.where(none, np.nan, cells[name])
    if "moment" in cells:
        found["moment"] = cells["moment"]
    if ARGNONFINITE in cells:
        found[ARGNONFINITE] = cells[ARGNONFINITE]
    return found


def bucket_x(grid: Grid, bucket: Array) -> Array:
    """The first step of each bucket, modulo 2^64, which is right wherever it is an int64."""
    origin, width = np.uint64(grid.origin % 2**64), np.uint64(grid.width % 2**64)
    x: Array = (origin + bucket.astype(np.uint64) * width).view(np.int64)
    return x if grid.origin == grid.first_x else np.where(bucket == 0, np.int64(grid.first_x), x)


def unpacked_value(packed: Array) -> Array:
    """The value of an extreme as the tiers keep it."""
    high: Array = np.ascontiguousarray(packed["high"])
    return value_of_bits(high).view(np.float64)


def low_step(packed: Array) -> Array:
    """The step of a least value as the tiers keep it."""
    return step_of_low(np.ascontiguousarray(packed["low"]))


def high_step(packed: Array) -> Array:
    """The step of a greatest value as the tiers keep it."""
    return step_of_low(~np.ascontiguousarray(packed["low"]))
