"""Patterns of metric names: * stands for any characters, ? for one."""

from __future__ import annotations

WILD = "*?"


def is_pattern(name: str) -> bool:
    return any(wild in name for wild in WILD)


class NamePattern:
    """Takes one step for each character of a name, whatever the pattern: with a regular expression,
    "*a*a*a*b" could take for ever.

    The steps are those of the automaton that the pattern is. Bit N of a set says that N characters
    of the pattern, less its stars, have been met.
    """

    def __init__(self, pattern: str) -> None:
        head = next((at for at, char in enumerate(pattern) if char in WILD), len(pattern))
        self._head = pattern[:head]
        self._loops = 0
        """Where a star stands: any character leads there again."""
        self._any = 0
        """Where "?" comes next."""
        self._next: dict[str, int] = {}
        """Where a character, or "?", comes next."""
        place = 1
        literal: dict[str, int] = {}
        for char in pattern[head:]:
            if char == "*":
                self._loops |= place
                continue
            if char == "?":
                self._any |= place
            else:
                literal[char] = literal.get(char, 0) | place
            place <<= 1
        self._next = {char: places | self._any for char, places in literal.items()}
        self._end = place

    def matches(self, name: str) -> bool:
        """Whether the pattern is all of NAME."""
        if not name.startswith(self._head):
            return False
        met = 1
        for char in name[len(self._head) :]:
            met = (met & self._next.get(char, self._any)) << 1 | met & self._loops
            if not met:
                return False
        return bool(met & self._end)
