"""Buckets of what is kept of expired points, put together with those of the points that are there.

What is kept is a cell of 128 steps or more that cannot be cut: it belongs to the bucket, and to the
stretch of lineage, of its first step. So where buckets are whole cells, and lineage was cut before
the points expired, the buckets are what they were. Narrower ones have the points of up to 128 steps
in the bucket of the first; a cut that was made later moves by less than a cell.

Which value comes first is told by the order of logging, of which the engine's rollups show nothing.
So in buckets that have both it is looked up in the points: mostly one for each line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from .blocks import Array
from .cells import KEYS, Cells, group_starts

NEVER = 2**63 - 1
"""The step of what is not there."""

_NAMES = {"head": "first", "tail": "last", "sum": "total"}
"""What expired_series.RESULTS calls what points have."""
_ENDS = ("head_step", "head_tie", "tail_step", "tail_tie")

Ends = Callable[[Array], Cells | None]
"""Rows with head_key and tail_key of the points in the buckets between those of an array."""


def with_kept(
    fresh: Cells | None, old: Sequence[Cells], results: Collection[str], ends: Ends
) -> Cells:
    """One row for each line and bucket, in the order of KEYS, with FRESH, which is that already,
    and OLD, which may have several. Beside RESULTS there are `kept`, where something has expired,
    and `bad_at`, the first step of what of it is not finite.
    """
    tables = [_placed(table, results) for table in old]
    kept = _merged(tables)
    if fresh is None:
        return kept
    own = {name: column for name, column in fresh.items() if name != "read"}
    rows = len(own["bucket"])
    own |= {"kept": np.zeros(rows, bool), "bad_at": np.full(rows, NEVER, np.int64)}
    own |= {name: np.zeros(rows, kept[name].dtype) for name in _ENDS}
    if "first" in own or "last" in own:
        _place(own, kept, ends)
    return _merged([own, {name: kept[name] for name in own}])


def sums_of(old: Cells, names: Sequence[str]) -> Cells:
    """The columns NAMES of OLD."""
    named = {_NAMES.get(name, name): column for name, column in old.items()}
    return {name: named[name] for name in names}


def _placed(table: Cells, results: Collection[str]) -> dict[str, Array]:
    named = {_NAMES.get(name, name): column for name, column in table.items()}
    wanted = {*KEYS, "bad_at", *results, *(f"{name}_step" for name in results)}
    found = {name: column for name, column in named.items() if name in wanted}
    rows = len(found["bucket"])
    bad = np.where(found["nonfinite"] > 0, found["bad_at"], NEVER)
    found |= {"kept": np.ones(rows, bool), "bad_at": bad}
    for end in ("head", "tail"):
        key = table[f"{end}_key"]
        found |= {f"{end}_step": key["high"], f"{end}_tie": key["low"]}
    return found


def _place(own: dict[str, Array], kept: Cells, ends: Ends) -> None:
    """Where the first and the last value of OWN lie, in buckets that KEPT has as well."""
    mine, theirs = _codes(own), set(_codes(kept))
    both = np.array([code in theirs for code in mine], bool)
    both &= own["points"] > own["nonfinite"]
    # What nothing is known of came later.
    own["head_step"][:] = own["tail_step"][:] = NEVER
    rows = np.flatnonzero(both)
    if not len(rows):
        return
    found = ends(own["bucket"][rows])
    if found is None:
        return
    place = {code: row for code, row in zip(mine, range(len(mine)), strict=True) if both[row]}
    heads = zip(found["head_key"].tolist(), found["tail_key"].tolist(), strict=True)
    best: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {}
    for code, ((low, high), (under, above)) in zip(_codes(found), heads, strict=True):
        if code in place:
            head, tail = (high, low), (above, under)
            before = best.get(place[code], (head, tail))
            best[place[code]] = (min(head, before[0]), max(tail, before[1]))
    for row, (head, tail) in best.items():
        own["head_step"][row], own["head_tie"][row] = head
        own["tail_step"][row], own["tail_tie"][row] = tail


def _codes(cells: Cells) -> list[tuple[int, ...]]:
    return list(zip(*(cells[key].tolist() for key in KEYS), strict=True))


def _merged(tables: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    cells = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    line = [cells[key] for key in reversed(KEYS)]
    finite = cells["points"] > cells["nonfinite"]
    order = np.lexsort((cells["head_tie"], cells["head_step"], ~finite, *line))
    starts = group_starts([cells[key][order] for key in KEYS])
    sizes = np.diff(np.append(starts, len(order)))
    found = {key: cells[key][order][starts] for key in KEYS}
    for name, ufunc in _SUMS.items():
        if name in cells:
            found[name] = ufunc.reduceat(cells[name][order], starts)
    for name in ("low", "high"):
        if name in cells:
            extremes = cells[name][order]
            found[name] = _EXTREMES[name].reduceat(extremes, starts)
            among = extremes == np.repeat(found[name], sizes)
            steps = np.where(among, cells[f"{name}_step"][order], NEVER)
            found[f"{name}_step"] = np.minimum.reduceat(steps, starts)
    for name in {"first", "head_step", "head_tie"} & cells.keys():
        found[name] = cells[name][order][starts]
    order = np.lexsort((cells["tail_tie"], cells["tail_step"], finite, *line))
    for name in {"last", "tail_step", "tail_tie"} & cells.keys():
        found[name] = cells[name][order][starts + sizes - 1]
    return found


_EXTREMES = {"low": np.minimum, "high": np.maximum}
_SUMS: dict[str, np.ufunc] = {
    "points": np.add,
    "nonfinite": np.add,
    "total": np.add,
    "moment": np.minimum,
    "bad_at": np.minimum,
    "kept": np.logical_or,
}
