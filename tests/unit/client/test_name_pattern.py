"""Promise: a pattern means what it always did, and takes no longer than the name is long."""

from __future__ import annotations

import itertools
import random
import re

from stepline.definitions import defined
from stepline.name_pattern import NamePattern


def expected(pattern: str, name: str) -> bool:
    each = ({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in pattern)
    return re.fullmatch(f"(?s:{''.join(each)})", name) is not None


def test_all_small_patterns_and_names() -> None:
    names = ["".join(n) for size in range(5) for n in itertools.product("ab", repeat=size)]
    for size in range(5):
        for each in itertools.product("ab*?", repeat=size):
            pattern = "".join(each)
            own = NamePattern(pattern)
            for name in names:
                assert own.matches(name) == expected(pattern, name), (pattern, name)


def test_random_patterns_and_names() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        pattern = "".join(chance.choices("ab/*?.[\n\xe9", k=chance.randrange(9)))
        name = "".join(chance.choices("ab/.[\n\xe9", k=chance.randrange(12)))
        assert NamePattern(pattern).matches(name) == expected(pattern, name), (pattern, name)


def test_no_pattern_takes_for_ever() -> None:
    evil = NamePattern("*a" * 500 + "*b")
    assert not evil.matches("a" * 1_000)
    assert evil.matches("a" * 1_000 + "b")
    said = {"*a*?" * 25 + "*b": {"unit": "s"}}
    assert defined(said, "a" * 60) == {}
