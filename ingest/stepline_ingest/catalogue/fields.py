"""What a run can be filtered by, sorted by and shown with: fields of its own (`state`), and keys of
its config and summary (`config.lr`).

A key is addressed by its path with dots; slashes count as dots, so that `config.model/depth`,
`config.model.depth` and a key that was flattened before it came here are one. Where two keys of a
run have one address, the one that is nested deeper is meant; of two in equal depth, the last.

An inner key has all its outer ones in its address, so that a config of one long key around many
short ones has addresses many times its size: both their length and their sum are bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stepline_ingest.run_request import json_text

RESERVED = "_stepline"
"""The key of the config under which the client keeps its own."""
MAX_FIELDS = 5_000
"""Of the config, and of the summary, of one run: in the order of keys, the first ones count."""
MAX_ADDRESS = 1_024
"""Characters of an address; of what has a longer one, nothing is found."""
MAX_ADDRESSES = 1 << 20
"""Characters of all addresses of a config, or of a summary; the first ones of it count."""
MAX_TEXT = 8_192
"""Characters of a text that are compared; a longer list or text is cut there."""


class Kind(IntEnum):
    """What a value is. The numbers are stored, and sorted by."""

    NONE = 0
    NUMBER = 1
    FLAG = 2
    TEXT = 3
    LIST = 4


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a run as the tables have it: NUMBER of numbers and flags, TEXT of texts; of
    everything else TEXT is its JSON."""

    kind: Kind
    number: float
    text: str

    def json(self) -> str:
        """As JSON, which has no NaN: that and the infinities are text."""
        if self.kind is Kind.NONE:
            return "null"
        return json_text(self.text) if self.kind is Kind.TEXT else self.text


MISSING = Value(Kind.NONE, 0.0, "")


def address(key: str) -> str:
    """The address of a key."""
    return key.replace("/", ".")


def fields_of(values: Mapping[str, Any]) -> dict[str, Value]:
    """The leaves of a config or a summary, by their addresses in the order of addresses."""
    found: dict[str, tuple[int, Value]] = {}
    for depth, path, value in _leaves(values):
        known = found.get(path)
        if known is None or depth >= known[0]:
            found[path] = depth, value
        if len(found) > 4 * MAX_FIELDS:
            break
    return {path: found[path][1] for path in sorted(found)[:MAX_FIELDS]}


def value_of(value: Any) -> Value:
    """Of a leaf: anything of JSON but an object."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return Value(Kind.FLAG, float(value), "true" if value else "false")
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, str):
        return Value(Kind.TEXT, 0.0, value[:MAX_TEXT])
    text = "[]" if _is_long(value) else json_text(value)
    return Value(Kind.LIST, 0.0, text if len(text) <= MAX_TEXT else "[]")


def _is_long(value: Any) -> bool:
    """Whether the JSON of VALUE is surely longer than what is compared. No more of it is looked at
    than that."""
    waiting = [value]
    left = MAX_TEXT
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            left -= len(one) + 2
        elif not isinstance(one, (list, Mapping)):
            left -= 1
        elif len(one) > left:
            return True
        elif isinstance(one, Mapping):
            left -= 1 + sum(len(key) + 4 for key in one)
            waiting += one.values()
        else:
            left -= 1 + len(one)
            waiting += one
        if left < 0:
            return True
    return False


def _number(value: int | float) -> Value:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isfinite(number):
        return Value(Kind.NUMBER, number, json.dumps(value))
    return Value(Kind.TEXT, 0.0, str(number))


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[int, str, Value]]:
    """(depth, address, value) of each, without recursion: JSON may be nested deeply."""
    stack = [(0, "", iter(values.items()))]
    left = MAX_ADDRESSES
    while stack:
        depth, path, inner = stack[-1]
        entry = next(inner, None)
        if entry is None:
            stack.pop()
            continue
        key, value = entry
        # Nothing of that length is made.
        if len(path) + bool(depth) + len(key) > MAX_ADDRESS or (not depth and key == RESERVED):
            continue
        name = address(key.encode("utf-8", "replace").decode())
        place = f"{path}.{name}" if depth else name
        left -= len(place)
        if left < 0:
            return
        if isinstance(value, Mapping):
            stack.append((depth + 1, place, iter(value.items())))
            continue
        leaf = value_of(value)
        if leaf.kind is not Kind.NONE:
            yield depth + 1, place, leaf
