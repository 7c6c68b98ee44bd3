"""What is read of a metric at one rank, before it is put together over ranks and attempts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store

from .blocks import Array, columns
from .buckets import high_step, low_step, unpacked_value
from .select import plain, select

CELL_COLUMNS = {
    "points": tiers.COUNT,
    "nonfinite": tiers.NONFINITE,
    "low": tiers.LOW,
    "high": tiers.HIGH,
    "first_value": tiers.FIRST,
    "last_value": tiers.LAST,
    "total": tiers.SUM,
}
COLUMNS = {**CELL_COLUMNS, "first_step": tiers.FIRST_STEP, "last_step": tiers.LAST_STEP}
"""What a Row is made of."""

Key = tuple[int, ...]
Place = tuple[float, int]
"""In the order of logging: the step, and what orders equal ones."""
Ends = tuple[Place, Place]
"""Where the first and the last finite value lie."""

_BEFORE: Ends = ((0, 0), (0, 0))
_AFTER: Ends = ((1, 0), (1, 0))


class Row(NamedTuple):
    """In the order of MetricSummary.add, behind the rank."""

    points: int
    nonfinite: int
    first_step: int
    last_step: int
    first_value: float
    last_value: float
    total: float
    low: float
    low_step: int
    high: float
    high_step: int

    @property
    def finite(self) -> bool:
        return self.points > self.nonfinite


def read_rows(
    store: Store,
    keys: Sequence[str],
    where: Sequence[str],
    params: Mapping[str, Param],
    settings: Mapping[str, Setting],
    *,
    made: Mapping[str, str] = COLUMNS,
    source: str = tiers.TABLE,
) -> Iterator[tuple[Any, ...]]:
    """KEYS and a Row behind them, in the order of KEYS, of the points that meet WHERE. MADE gives
    the expressions of COLUMNS, from a SOURCE that is something else. Raises StoreError."""
    listed = {**plain(*keys), **made}
    sql = select(listed, source, where=where, group_by=keys, order_by=keys)
    found = columns(store.stream_native(sql, params, settings))
    return taken_apart(found, (*keys, *Row._fields)) if found else iter(())


def taken_apart(found: dict[str, Array], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The columns NAMES of FOUND as rows, with the values and the steps of its extremes."""
    found["low_step"], found["high_step"] = low_step(found["low"]), high_step(found["high"])
    found["low"], found["high"] = unpacked_value(found["low"]), unpacked_value(found["high"])
    return zip(*(found[name].tolist() for name in names), strict=True)


def joined(one: Row, other: Row, ends: Ends, other_ends: Ends) -> Row:
    """Both together, of one key; with the ENDS of each."""
    both = one.finite and other.finite
    extremes = one if one.finite else other
    low, high = (extremes.low, extremes.low_step), (extremes.high, extremes.high_step)
    total, first, last = extremes.total, extremes.first_value, extremes.last_value
    if both:
        low = _least(one, other)
        high = _greatest(one, other)
        total = one.total + other.total
        first = other.first_value if other_ends[0] < ends[0] else one.first_value
        last = other.last_value if other_ends[1] > ends[1] else one.last_value
    return Row(
        one.points + other.points,
        one.nonfinite + other.nonfinite,
        min(one.first_step, other.first_step),
        max(one.last_step, other.last_step),
        first,
        last,
        total,
        *low,
        *high,
    )


def followed(earlier: Row, later: Row) -> Row:
    """Both together; all of EARLIER lies before all of LATER."""
    return joined(earlier, later, _BEFORE, _AFTER)


def _least(a: Row, b: Row) -> tuple[float, int]:
    _, step, value = min((_zeros(one.low), one.low_step, one.low) for one in (a, b))
    return value, step


def _greatest(a: Row, b: Row) -> tuple[float, int]:
    _, step, value = min((_negated(one.high), one.high_step, one.high) for one in (a, b))
    return value, step


def _zeros(value: float) -> tuple[float, float]:
    """An order in which -0.0 comes before 0.0."""
    return value, math.copysign(1.0, value)


def _negated(value: float) -> tuple[float, float]:
    return -value, -math.copysign(1.0, value)
