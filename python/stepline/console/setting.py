"""Whose output is kept: `init(console=...)` or STEPLINE_CONSOLE."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import InvalidRequest

Console = Literal["off", "all", "rank0"]


def chosen(asked: str | bool) -> Console:
    """True is "all": an error shows on the rank that fails. Raises InvalidRequest for a word that
    is none."""
    if isinstance(asked, bool):
        return "all" if asked else "off"
    for word in get_args(Console):
        if asked == word:
            found: Console = word
            return found
    words = ", ".join(repr(word) for word in get_args(Console))
    raise InvalidRequest(f"console={asked!r} is unknown: use True, False, or one of {words}.")
