"""Sequences whose points have expired: raw_marks has them as bitmaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stepline_ingest.store.contract import Param, Setting, Store

_BLOCK = 1 << 22
"""Sequences that are taken out of the bitmap at a time."""
_MOST = 100_000
"""Ranges."""

Range = tuple[int, int]


def read_expired(
    store: Store, where: str, params: Mapping[str, Param], limits: Mapping[str, Setting]
) -> list[Range]:
    """Of the writers that meet WHERE, in order and merged; at most some 100,000. Raises
    StoreError."""
    merged = f"SELECT groupBitmapMergeState(seqs) AS s FROM raw_marked WHERE {where}"  # noqa: S608
    ((count, first, last),) = store.query(
        f"SELECT bitmapCardinality(s), bitmapMin(s), bitmapMax(s) FROM ({merged})",  # noqa: S608
        params,
        limits,
    )
    count, first, last = int(str(count)), int(str(first)), int(str(last))
    if not count:
        return []
    if count == last - first + 1:
        return [(first, last)]
    found: list[Range] = []
    part = f"bitmapSubsetLimit(s, {{begin:UInt64}}, {_BLOCK})"
    sql = f"SELECT bitmapToArray({part}) FROM ({merged})"  # noqa: S608
    begin = first
    # From member to member: there may be nothing for a long way.
    while begin <= last and len(found) <= _MOST:
        ((numbers,),) = store.query(sql, {**params, "begin": begin}, limits)
        assert isinstance(numbers, list)
        _join(found, np.array(numbers, dtype=np.uint64))
        begin = found[-1][1] + 1
    return found


def _join(found: list[Range], numbers: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    if not len(numbers):
        return
    numbers = np.sort(numbers)
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    firsts = numbers[np.concatenate(([0], breaks))].tolist()
    lasts = numbers[np.concatenate((breaks - 1, [len(numbers) - 1]))].tolist()
    for first, last in zip(firsts, lasts, strict=True):
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
