"""What is searched for among names: texts, patterns and ranks of a bounded size."""

from __future__ import annotations

from collections.abc import Collection

from .errors import invalid
from .limits import Limits


def check_searched(limits: Limits, **texts: str) -> None:
    """TEXTS by the names of their fields. Raises ServiceError(INVALID_ARGUMENT)."""
    for field, text in texts.items():
        size = len(text.encode("utf-8", "replace"))
        if size > limits.max_searched_bytes:
            raise invalid(
                f"{field} has {size:,} bytes, {limits.max_searched_bytes:,} are allowed: shorten it"
            )


def check_exported(limits: Limits, patterns: Collection[str], ranks: Collection[int]) -> None:
    """Raises ServiceError(INVALID_ARGUMENT)."""
    if len(patterns) > limits.max_exported_patterns:
        raise invalid(
            f"{len(patterns):,} names and patterns, {limits.max_exported_patterns:,} are allowed: "
            "export in several requests, or name several metrics by one pattern"
        )
    size = sum(len(each.encode("utf-8", "replace")) for each in patterns)
    if size > limits.max_exported_pattern_bytes:
        raise invalid(
            f"the names and patterns have {size:,} bytes, {limits.max_exported_pattern_bytes:,} "
            "are allowed: export in several requests, or name several metrics by one pattern"
        )
    if len(ranks) > limits.max_exported_ranks:
        raise invalid(
            f"{len(ranks):,} ranks, {limits.max_exported_ranks:,} are allowed: export in several "
            "requests, or name none for all of them"
        )
