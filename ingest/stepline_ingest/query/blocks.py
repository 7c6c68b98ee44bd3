"""Results of the engine as NumPy columns. What is done here is done to whole columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepline_ingest.store.contract import NativeBlock

Array = NDArray[Any]

_WIDE = {"Int128": np.dtype([("low", "<u8"), ("high", "<i8")])}
"""Types that NumPy does not know, as pairs of halves."""


@contextmanager
def closing_blocks(blocks: Iterator[NativeBlock]) -> Iterator[Iterator[NativeBlock]]:
    """Ends the query when its reader ends, also early."""
    try:
        yield blocks
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()


def gathered(blocks: Iterable[NativeBlock], rows: int) -> Iterator[list[NativeBlock]]:
    """Small blocks put together to at most ROWS rows, so that no message is tiny."""
    held: list[NativeBlock] = []
    count = 0
    for block in blocks:
        if held and count + block.rows > rows:
            yield held
            held, count = [], 0
        held.append(block)
        count += block.rows
    if held:
        yield held


def columns(blocks: Iterable[NativeBlock]) -> dict[str, Array]:
    """A whole result; nothing at all when it has no rows."""
    parts: dict[str, list[Array]] = {}
    for block in blocks:
        for column in block.columns:
            dtype = _WIDE.get(column.type) or np.dtype(column.dtype)
            parts.setdefault(column.name, []).append(np.frombuffer(column.buffer, dtype))
    return {
        name: part[0] if len(part) == 1 else np.concatenate(part) for name, part in parts.items()
    }


def rows(blocks: Iterable[NativeBlock]) -> Iterator[tuple[Any, ...]]:
    """The rows of a small result of numbers."""
    for block in blocks:
        yield from zip(*(column.values() for column in block.columns), strict=True)


def runs_of_equal(*keys: Array) -> list[tuple[int, int]]:
    """(begin, end) of each stretch of rows in which all KEYS stay the same."""
    size = len(keys[0])
    if not size:
        return []
    change = np.zeros(size - 1, dtype=bool)
    for key in keys:
        change |= key[1:] != key[:-1]
    bounds = [0, *(np.flatnonzero(change) + 1).tolist(), size]
    return list(itertools.pairwise(bounds))
