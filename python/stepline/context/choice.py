"""Which parts of the context are captured: `init(capture=...)` or STEPLINE_CAPTURE."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidRequest

PARTS = ("git", "diff", "program", "packages", "environment", "machine")


def chosen_parts(asked: str | bool | Iterable[str]) -> frozenset[str]:
    """ASKED is "all", "none", or parts, as a list or a text with commas; "-diff" takes one away
    from those before it, or from all. Raises InvalidRequest for a part that is none."""
    if isinstance(asked, bool):
        return frozenset(PARTS) if asked else frozenset()
    words = asked.split(",") if isinstance(asked, str) else list(asked)
    if not all(isinstance(word, str) for word in words):
        raise InvalidRequest(f"capture={words!r} are not all text: pass a list of str.")
    chosen: set[str] = set()
    for number, word in enumerate(word.strip() for word in words):
        name = word.removeprefix("-")
        if word == "all":
            chosen.update(PARTS)
        elif word == "none" or not word:
            chosen.clear()
        elif name not in PARTS:
            raise InvalidRequest(
                f"capture={word!r} is unknown: use all, none, or some of {', '.join(PARTS)}; "
                "-diff leaves one out."
            )
        elif word == name:
            chosen.add(name)
        else:
            if number == 0:
                chosen.update(PARTS)
            chosen.discard(name)
    return frozenset(chosen)
