"""Buckets in the making: rows of what some points have in one bucket, to be put together.

A table of them has columns of equal length: run, metric and rank (0 in a band), bucket, the number
of the read that they come from, and of what the points have that which is wanted: points,
nonfinite; low and high (values as integers that order like them) with low_step and high_step;
first, last, total; and moment where a chart lies over time. Where no value is finite, the extremes
lose every comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .blocks import Array
from .plan import Read

Cells = Mapping[str, Array]

NO_LOW, NO_HIGH = 2**63 - 1, -(2**63)
"""Extremes without a finite value; they are the patterns of no finite one."""

PLACE = {"run": np.uint64, "metric": np.uint64, "rank": np.uint32, "read": np.int64}
KEYS = ("run", "metric", "rank", "bucket")
_SIGN = np.uint64(1 << 63)
_REST = np.int64(2**63 - 1)


def ordered(values: Array) -> Array:
    """Integers that order like VALUES: the bits of negative ones are inverted, but for the sign."""
    return value_of_bits(values.view(np.int64))


def value_of_bits(bits: Array) -> Array:
    """Its own inverse: see `ordered`."""
    result: Array = bits ^ ((bits >> 63) & _REST)
    return result


def step_of_low(unsigned: Array) -> Array:
    """The step in the lower half of a low_key."""
    step: Array = unsigned ^ _SIGN
    return step.view(np.int64)


def for_lines(cells: Cells, reads: Sequence[Read]) -> Cells:
    """CELLS with the key of the line in place of the run; what several lines show, once for
    each."""
    if not any(read.lines for read in reads):
        return cells
    numbers = cells["read"]
    take, lines = [], []
    for number, read in enumerate(reads):
        places = np.flatnonzero(numbers == number)
        if not read.lines:
            take.append(places)
            lines.append(cells["run"][places])
        for line in read.lines:
            take.append(places)
            lines.append(np.full(len(places), line, np.uint64))
    rows = np.concatenate(take)
    return {name: column[rows] for name, column in cells.items()} | {"run": np.concatenate(lines)}


def together(tables: Sequence[Cells]) -> Cells:
    """One row for each line and bucket, in the order of KEYS. Reads with a higher number hold the
    higher steps of a line.
    """
    cells = tables[0]
    if len(tables) > 1:
        cells = {name: np.concatenate([table[name] for table in tables]) for name in cells}
    cells = in_order(cells, (*KEYS, "read"))
    starts = group_starts([cells[key] for key in KEYS])
    if len(starts) == len(cells["bucket"]):
        return cells
    return merged(cells, starts, (*KEYS, "read"))


def in_order(cells: Cells, keys: Sequence[str]) -> Cells:
    """By KEYS, of which no more than the bucket or cell has many values. One number for each row is
    sorted several times faster than five, and rows mostly come in order already."""
    code = np.zeros(len(cells[keys[0]]), np.int64)
    size = 1
    for key in keys:
        column = cells[key]
        if (column == column[0]).all():
            continue
        numbers, count = _numbered(column)
        size *= count
        if size >= 2**63:
            order = np.lexsort([cells[one] for one in reversed(keys)])
            break
        code = code * count + numbers
    else:
        if (code[1:] >= code[:-1]).all():
            return cells
        order = np.argsort(code, kind="stable")
    return {name: column[order] for name, column in cells.items()}


def _numbered(column: Array) -> tuple[Array, int]:
    """Numbers from 0 that order like COLUMN, and how many there may be."""
    if column.dtype == np.int64:
        least, most = int(column.min()), int(column.max())
        if most - least < 2**40:
            return column - least, most - least + 1
    # Ids lie in stretches: only the first of each is looked at.
    starts = group_starts([column])
    distinct, numbers = np.unique(column[starts], return_inverse=True)
    return np.repeat(numbers, np.diff(np.append(starts, len(column)))), len(distinct)


def group_starts(keys: Sequence[Array]) -> Array:
    """Where rows begin in which any of KEYS differs from the row before."""
    change = np.zeros(len(keys[0]), dtype=bool)
    change[:1] = True
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)


def merged(cells: Cells, starts: Array, keys: Sequence[str]) -> Cells:
    """One row for each of the groups that begin at STARTS, with the KEYS of its first row. Rows of
    a group lie in the order of their steps."""
    finite = cells["points"] > cells["nonfinite"]
    sizes = np.diff(np.append(starts, len(finite)))
    found = {name: cells[name][starts] for name in keys}
    for name in {"points", "nonfinite", "total"} & cells.keys():
        found[name] = np.add.reduceat(cells[name], starts)
    for name, extreme in (("low", np.minimum), ("high", np.maximum)):
        if name in cells:
            found[name] = extreme.reduceat(cells[name], starts)
            among = cells[name] == np.repeat(found[name], sizes)
            steps = np.where(among, cells[f"{name}_step"], NO_LOW)
            found[f"{name}_step"] = np.minimum.reduceat(steps, starts)
    # Where nothing is finite any row will do.
    if "first" in cells:
        found["first"] = cells["first"][first_where(finite, starts)]
    if "last" in cells:
        found["last"] = cells["last"][last_where(finite, starts)]
    if "moment" in cells:
        found["moment"] = np.minimum.reduceat(cells["moment"], starts)
    return found


def first_where(condition: Array, starts: Array) -> Array:
    """The first row of each group that meets CONDITION; any row where none does."""
    places = np.flatnonzero(condition)
    if len(places) == len(condition):
        return starts
    if not len(places):
        return starts
    found = np.searchsorted(places, starts)
    result: Array = places[np.minimum(found, len(places) - 1)]
    return result


def last_where(condition: Array, starts: Array) -> Array:
    """The last row of each group that meets CONDITION; any row where none does."""
    ends = np.append(starts[1:], len(condition))
    places = np.flatnonzero(condition)
    if not len(places):
        return starts
    found = np.searchsorted(places, ends) - 1
    result: Array = places[np.maximum(found, 0)]
    return result
