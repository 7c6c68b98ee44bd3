"""JSON that clients send: what UTF-8 cannot hold is replaced, and how deep and how wide it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

_MAY_BE_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_DIGITS = bytes(48 if 48 <= code < 58 else 32 for code in range(256))
_LONG = 641
"""Digits of a number that is long."""
_QUOTE, _COMMA = b'",'
_OTHERS = bytes(set(range(256)) - set(b'[]{}",'))
_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a text that is JSON."""

    depth: int
    """Lists and objects that lie in each other."""
    parts: int
    """Lists and objects in all."""
    commas: int
    """Between values: there are more values than that."""


def json_value(text: str) -> Any:
    """What TEXT says. Halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold,
    become U+FFFD. Raises ValueError, RecursionError."""
    value = json.loads(text)
    if not _may_have_halves(text):
        return value
    plain = json.dumps(value, ensure_ascii=False)
    return value if plain.isascii() else json.loads(_HALF.sub(_REPLACEMENT, plain))


def whole_text(text: str) -> str:
    """TEXT, which is JSON, without halves of surrogate pairs."""
    if not _may_have_halves(text):
        return text
    return json.dumps(json_value(text), ensure_ascii=False, separators=(",", ":"))


def _may_have_halves(text: str) -> bool:
    """A backslash behind an odd number of others escapes nothing; without pairs of them no other
    is left."""
    if _MAY_BE_HALF.search(text) is None:
        return False
    return "\\\\" not in text or _MAY_BE_HALF.search(text.replace("\\\\", "")) is not None


def parts_at_most(text: str) -> int:
    """Lists and objects of TEXT, and what looks like them in its strings."""
    return text.count("[") + text.count("{")


def commas_at_most(text: str) -> int:
    """Commas between values of TEXT, and those in its strings."""
    return text.count(",")


def long_digits(text: str) -> int:
    """About the digits of the numbers in TEXT that have more than 640, and of what looks like them
    in its strings."""
    digits = text.encode("utf-8", "replace").translate(_DIGITS)
    return _LONG * digits.count(b"0" * _LONG)


def shape(text: str) -> Shape:
    """Of TEXT, which is JSON. Numpy counts, as a text may be nothing but brackets, quotes or
    commas."""
    data = text.encode("utf-8", "replace")
    # A pair of backslashes is one character; what escapes a quote is gone with it then.
    data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, _OTHERS)
    deepest = depth = parts = commas = quotes = 0
    for first in range(0, len(marks), _AT_ONCE):
        codes = np.frombuffer(marks[first : first + _AT_ONCE], dtype=np.uint8)
        # How many quotes came before, of which only the last bit says something.
        before = np.cumsum(codes == _QUOTE, dtype=np.uint8) + np.uint8(quotes & 1)
        outside = (before & 1) == 0
        steps = _STEPS[codes] * outside
        parts += int(np.count_nonzero(steps > 0))
        commas += int(np.count_nonzero((codes == _COMMA) & outside))
        depths = np.cumsum(steps, dtype=np.int32)
        deepest = max(deepest, depth + int(depths.max()))
        depth, quotes = depth + int(depths[-1]), int(before[-1])
    return Shape(deepest, parts, commas)
