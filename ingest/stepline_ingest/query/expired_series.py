"""What is kept of series whose points have expired: a row of width 0 for each fill, and for each
stretch between the cuts that lineage made before. See retention/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.expired import KEPT, Fills, among

from .blocks import columns, rows
from .select import plain, select

TABLE = "raw_cells"
OF_SERIES = "width = 0"
OF_CELLS = f"width = {tiers.WIDTHS[0]}"

_SERIES = {
    **plain("run", "metric", "attempt", "rank"),
    "points": "sum(n)",
    "step0": "min(first_step)",
    "step1": "max(last_step)",
}
_EXTENTS = {**plain("run", "attempt"), "step0": "min(first_step)", "step1": "max(last_step)"}
RESULTS = {
    "points": "sum(n)",
    "nonfinite": "sum(bad)",
    "low": "minIf(low_key, n > bad)",
    "high": "maxIf(high_key, n > bad)",
    "head_key": "minIf(first_key, n > bad)",
    "head": "argMinIf(first, first_key, n > bad)",
    "tail_key": "maxIf(last_key, n > bad)",
    "tail": "argMaxIf(last, last_key, n > bad)",
    "sum": "sumIf(total, n > bad)",
    "moment": "min(first_time)",
    "bad_at": "minIf(bad_step, bad > 0)",
    "step0": "min(first_step)",
    "step1": "max(last_step)",
}
"""What several rows come to. The names are not those of columns, which they would hide."""


def kept_series(
    store: Store,
    where: Sequence[str],
    params: Mapping[str, Param],
    fills: Fills,
    limits: Mapping[str, Setting],
) -> Iterator[tuple[int, ...]]:
    """(run, metric, attempt, rank, points, first step, last step) of series that meet WHERE. Raises
    StoreError."""
    return _rows(store, _SERIES, where, params, fills, limits)


def kept_extents(
    store: Store,
    where: Sequence[str],
    params: Mapping[str, Param],
    fills: Fills,
    limits: Mapping[str, Setting],
) -> Iterator[tuple[int, ...]]:
    """(run, attempt, first step, last step) over series that meet WHERE. Raises StoreError."""
    return _rows(store, _EXTENTS, where, params, fills, limits)


def kept_statistics(
    store: Store,
    keys: Sequence[str],
    where: Sequence[str],
    params: Mapping[str, Param],
    fills: Fills,
    limits: Mapping[str, Setting],
    *,
    of: str = OF_SERIES,
) -> Mapping[str, Any]:
    """Columns of KEYS and RESULTS, one row for each value of KEYS, in their order; nothing where
    there is none. OF_CELLS when WHERE cuts series. Raises StoreError."""
    condition, numbers = among(fills)
    sql = select(
        {**plain(*keys), **RESULTS},
        TABLE,
        where=[condition, of, *where],
        group_by=keys,
        order_by=keys,
    )
    return columns(store.stream_native(sql, {**params, **numbers}, {**limits, **KEPT}))


def _rows(
    store: Store,
    made: Mapping[str, str],
    where: Sequence[str],
    params: Mapping[str, Param],
    fills: Fills,
    limits: Mapping[str, Setting],
) -> Iterator[tuple[int, ...]]:
    condition, numbers = among(fills)
    keys = [name for name, expression in made.items() if name == expression]
    sql = select(made, TABLE, where=[condition, OF_SERIES, *where], group_by=keys)
    return rows(store.stream_native(sql, {**params, **numbers}, {**limits, **KEPT}))
