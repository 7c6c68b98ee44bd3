"""The rollups of `raw_points`: their widths, and the expressions by which the engine recognizes
them.

The engine answers a query from a projection only when its expressions are those of the projection.
So everything that reads a rollup takes them from here, and a test holds the migration against
`projection_ddl`.

A value is *finite* or counted as nonfinite; all other aggregates leave nonfinite values out. Three
ALIAS columns pack what is compared into one integer, so that one state keeps an extreme and where
it was, and no tie is left to the order in which parts are merged:

- low_key: value above, step below. The least is the lowest value, at its earliest step.
- high_key: value above, step inverted below. The greatest is the highest value, at its earliest
  step.
- order_key: step above, then rank (20 bits), then sequence (44 bits). The order of logging, equal
  steps by rank, so that a band over ranks has one first and one last.

"Value above" is the integer that orders like the value: the bits of a double, all but the sign
inverted when it is negative. "Step below" is the step with its sign bit flipped, as it is compared
without a sign there.
"""

from __future__ import annotations

TABLE = "raw_points"

WIDTHS = (128, 2048, 32768)
"""Steps of a cell, for each tier. A cell is read at the cost of some 6 points; 16 between
neighbours keeps every chart of 1,000 buckets below 16,000 cells or 128,000 points
(bench/store/choices.py)."""

LEDGER = "ledger"
"""Projection: what is stored of each writer."""
SERIES = "series"
"""Projection: one row for each run, metric, rank and attempt."""

COUNT = "count()"
NONFINITE = "countIf(NOT finite)"
LOW = "minIf(low_key, finite)"
HIGH = "maxIf(high_key, finite)"
FIRST = "argMinIf(value, order_key, finite)"
LAST = "argMaxIf(value, order_key, finite)"
SUM = "sumIf(value, finite)"
FIRST_TIME = "min(time)"
LAST_TIME = "max(time)"
FIRST_STEP = "min(step)"
LAST_STEP = "max(step)"

CELL_AGGREGATES = (COUNT, NONFINITE, LOW, HIGH, FIRST, LAST, SUM, FIRST_TIME, LAST_TIME)
"""What a cell of a tier holds."""
SERIES_AGGREGATES = (*CELL_AGGREGATES, FIRST_STEP, LAST_STEP)
"""What the rollup of a series holds."""

_SERIES_KEYS = ("run", "metric", "rank", "attempt")
_LEDGER_KEYS = ("run", "attempt", "rank", "writer")
_LEDGER_AGGREGATES = ("count()", "min(seq)", "max(seq)", "min(step)", "max(step)", "max(time)")


def name(width: int) -> str:
    """The name of the projection with cells of WIDTH steps."""
    return f"tier{width}"


def cell(width: int) -> str:
    """The number of the cell that a point lies in: step divided by WIDTH, rounded down, also below
    zero and at the ends of Int64."""
    return f"bitShiftRight(step, {width.bit_length() - 1})"


def value_of(packed: str) -> str:
    """The value in a LOW or HIGH."""
    ordered = f"toInt64(bitShiftRight({packed}, 64))"
    sign = f"bitShiftRight({ordered}, 63)"
    return f"reinterpretAsFloat64(bitXor({ordered}, bitAnd({sign}, 9223372036854775807)))"


def step_of_low(packed: str) -> str:
    """The step in a LOW."""
    return f"bitXor(reinterpretAsInt64(toUInt64({packed})), -9223372036854775808)"


def step_of_high(packed: str) -> str:
    """The step in a HIGH."""
    return f"bitXor(reinterpretAsInt64(toUInt64({packed})), 9223372036854775807)"


def projections() -> tuple[str, ...]:
    """The names of all projections."""
    return (LEDGER, SERIES, *(name(width) for width in WIDTHS))


def projection_ddl() -> str:
    """All projections, as they stand in CREATE TABLE."""
    parts = [
        _projection(LEDGER, _LEDGER_KEYS, _LEDGER_AGGREGATES),
        _projection(SERIES, _SERIES_KEYS, SERIES_AGGREGATES),
    ]
    parts += [_projection(name(w), (*_SERIES_KEYS, cell(w)), CELL_AGGREGATES) for w in WIDTHS]
    return ",\n".join(parts)


def _projection(title: str, keys: tuple[str, ...], aggregates: tuple[str, ...]) -> str:
    listed = ", ".join(keys)
    return (
        f"    PROJECTION {title}\n"
        f"    (\n"
        f"        SELECT {listed},\n"
        f"            {', '.join(aggregates)}\n"
        f"        GROUP BY {listed}\n"
        f"    )"
    )
