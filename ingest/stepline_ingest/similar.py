"""Names that a mistyped one may have meant, found with a bounded amount of work.

Comparing two texts exactly takes up to the cube of their length, and nothing can interrupt it once
its caller has left. So names are sifted first, each time by something cheaper.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

MAX_LENGTH = 200
"""Characters of a name; longer ones are neither looked for nor found."""
MAX_CANDIDATES = 2_000
"""Names whose letters are counted."""
MAX_COMPARED = 50
"""Names that are compared letter by letter: some 40 ms each for the worst of them."""


def closest(name: str, names: Iterable[str], *, count: int = 3, cutoff: float = 0.6) -> list[str]:
    """Up to COUNT of NAMES, the most similar first, as difflib.get_close_matches() finds them;
    CUTOFF is the least similarity, above 0 and up to 1."""
    if not 0 < len(name) <= MAX_LENGTH:
        return []
    shortest = max(1, int(len(name) * cutoff / (2 - cutoff)))
    longest = min(MAX_LENGTH, int(len(name) * (2 - cutoff) / cutoff) + 1)
    fitting = [each for each in names if shortest <= len(each) <= longest]
    matcher: SequenceMatcher[str] = SequenceMatcher()
    matcher.set_seq2(name)
    letters: list[tuple[float, str]] = []
    for each in _around(name, fitting):
        matcher.set_seq1(each)
        if matcher.real_quick_ratio() >= cutoff and (ratio := matcher.quick_ratio()) >= cutoff:
            letters.append((ratio, each))
    found: list[tuple[float, str]] = []
    for _, each in heapq.nlargest(MAX_COMPARED, letters):
        matcher.set_seq1(each)
        if (ratio := matcher.ratio()) >= cutoff:
            found.append((ratio, each))
    return [each for _, each in heapq.nlargest(count, found)]


def _around(name: str, names: Sequence[str]) -> Iterable[str]:
    """Those of NAMES that begin or end most like NAME, when they are too many: a slip of the
    fingers leaves one of both as it was."""
    if len(names) <= MAX_CANDIDATES:
        return names
    half = MAX_CANDIDATES // 2
    chosen = set(_beside(name, sorted(names), half))
    chosen.update(
        each[::-1] for each in _beside(name[::-1], sorted(each[::-1] for each in names), half)
    )
    return chosen


def _beside(name: str, ordered: Sequence[str], most: int) -> Sequence[str]:
    """MOST of them around the place of NAME."""
    place = bisect_left(ordered, name)
    return ordered[max(0, place - most // 2) : place + most // 2]
