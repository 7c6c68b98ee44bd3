"""Points to buckets, column by column.

For the points that a chart reads raw this takes a fraction of what the engine's own grouping does:
the engine then reads three columns and computes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from .blocks import Array
from .cells import NO_HIGH, NO_LOW, PLACE, Cells, first_where, group_starts, last_where, ordered
from .grid import Grid


def raw_cells(grid: Grid, rows: Mapping[str, Array], results: Collection[str]) -> Cells:
    """ROWS are points: run, metric, rank, read, step, seq, value, and time for moments. The points
    of one line have one rank. RESULTS are what is computed of them.
    """
    rows = _sorted(rows)
    step, value = rows["step"], rows["value"]
    bucket = _buckets(grid, step)
    starts = group_starts([*(rows[key] for key in PLACE), bucket])
    finite = np.isfinite(value)
    cells = {name: rows[name][starts] for name in PLACE}
    cells["bucket"] = bucket[starts]
    cells["points"] = np.diff(np.append(starts, len(step))).astype(np.uint64)
    cells["nonfinite"] = np.add.reduceat((~finite).astype(np.uint64), starts)
    for name, extreme, none in (("low", np.minimum, NO_LOW), ("high", np.maximum, NO_HIGH)):
        if name in results:
            values = np.where(finite, ordered(value), none)
            cells[name], cells[f"{name}_step"] = _extreme(extreme, values, step, starts)
    if "first" in results:
        cells["first"] = value[first_where(finite, starts)]
    if "last" in results:
        cells["last"] = value[last_where(finite, starts)]
    if "total" in results:
        cells["total"] = np.add.reduceat(np.where(finite, value, 0.0), starts)
    if "moment" in results:
        cells["moment"] = np.minimum.reduceat(rows["time"], starts)
    return cells


def _sorted(rows: Mapping[str, Array]) -> Mapping[str, Array]:
    """By line, then in the order of logging."""
    keys = [rows[key] for key in PLACE]
    step = rows["step"]
    starts = group_starts(keys)
    if len(starts) == 1:
        line = np.zeros(len(step), np.int64)
    else:
        places = np.stack([key[starts].astype(np.uint64) for key in keys], axis=1)
        _, numbers = np.unique(places, axis=0, return_inverse=True)
        line = np.repeat(numbers.reshape(-1), np.diff(np.append(starts, len(step))))
    # In a part points lie in order, and parts mostly hold one stretch of steps after the other: so
    # whole stretches are put in order first.
    falls = np.flatnonzero(~_rising(line, step)) + 1
    if not len(falls):
        return rows
    order = None
    if len(falls) < len(step) // 8:
        order = _by_stretches(np.concatenate(([0], falls)), line, step)
    if order is None or not _rising(line[order], step[order]).all():
        order = np.lexsort((rows["seq"], step, line))
    return {name: column[order] for name, column in rows.items()}


def _rising(line: Array, step: Array) -> Array:
    """Whether each row but the first comes behind the one before whatever their order of logging
    was.
    """
    same = line[1:] == line[:-1]
    result: Array = (line[1:] > line[:-1]) | (same & (step[1:] > step[:-1]))
    return result


def _by_stretches(starts: Array, line: Array, step: Array) -> Array:
    """The order of rows in which stretches, which begin at STARTS, come by their first row."""
    sizes = np.diff(np.append(starts, len(line)))
    order = np.lexsort((step[starts], line[starts]))
    begins = np.cumsum(sizes[order]) - sizes[order]
    result: Array = np.repeat(starts[order] - begins, sizes[order]) + np.arange(len(line))
    return result


def _buckets(grid: Grid, step: Array) -> Array:
    if grid.wide:
        exact = [(int(one) - grid.origin) // grid.width for one in step]
        return np.array(exact, np.int64)
    result: Array = (step - np.int64(grid.origin)) // np.int64(grid.width)
    return result


def _extreme(ufunc: np.ufunc, values: Array, step: Array, starts: Array) -> tuple[Array, Array]:
    """The extreme of each group and its first step; steps do not fall within a group."""
    found = ufunc.reduceat(values, starts)
    sizes = np.diff(np.append(starts, len(values)))
    places = np.flatnonzero(values == np.repeat(found, sizes))
    return found, step[places[np.searchsorted(places, starts)]]
