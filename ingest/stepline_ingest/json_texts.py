"""JSON that clients send: what UTF-8 cannot hold is replaced, and how deep and how wide it is."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

_MAY_BE_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_BRACKETS = b"[]{}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_AT_ONCE = 1 << 20
_PART_BYTES = 64
"""A list or an object, beside its JSON."""


def json_value(text: str) -> Any:
    """What TEXT says. Halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold,
    become U+FFFD. Raises ValueError, RecursionError."""
    value = json.loads(text)
    if _MAY_BE_HALF.search(text) is None:
        return value
    plain = json.dumps(value, ensure_ascii=False)
    return value if plain.isascii() else json.loads(_HALF.sub(_REPLACEMENT, plain))


def whole_text(text: str) -> str:
    """TEXT, which is JSON, without halves of surrogate pairs."""
    if _MAY_BE_HALF.search(text) is None:
        return text
    return json.dumps(json_value(text), ensure_ascii=False, separators=(",", ":"))


def parts_at_most(text: str) -> int:
    """Lists and objects of TEXT, and what looks like them in its strings."""
    return text.count("[") + text.count("{")


def weight(text: str) -> int:
    """About what TEXT, which is JSON, takes in memory, as text or as a value."""
    return len(text) + _PART_BYTES * parts_at_most(text)


def shape(text: str) -> tuple[int, int]:
    """How many lists and objects of TEXT, which is JSON, lie in each other; and how many there are.
    Numpy counts, as a text may be nothing but brackets."""
    if not parts_at_most(text):
        return 0, 0
    data = text.encode("utf-8", "replace")
    # A pair of backslashes is one character; what escapes a quote is gone with it then.
    data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(data.split(b'"')[::2]).translate(None, _OTHERS)
    deepest = depth = parts = 0
    for first in range(0, len(brackets), _AT_ONCE):
        codes = np.frombuffer(brackets[first : first + _AT_ONCE], dtype=np.uint8)
        steps = _STEPS[codes]
        parts += int(np.count_nonzero(steps > 0))
        depths = depth + np.cumsum(steps, dtype=np.int64)
        deepest, depth = max(deepest, int(depths.max())), int(depths[-1])
    return deepest, parts
