"""What an engine answered, as numbers."""

from __future__ import annotations

from collections.abc import Sequence


def whole(value: object) -> int:
    """VALUE of an integer column. Aggregates over no rows come as NULL in some engines, as 0 in
    others."""
    if isinstance(value, int):
        return value
    return 0 if value is None else int(str(value))


def only(rows: Sequence[tuple[object, ...]]) -> int:
    """The number that is all of an answer."""
    return whole(rows[0][0]) if rows else 0
