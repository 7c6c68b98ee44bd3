"""What a run can be filtered by, sorted by and shown with: fields of its own (`state`), and keys of
its config and summary (`config.lr`).

A key is addressed by its path with dots; slashes count as dots, so that `config.model/depth`,
`config.model.depth` and a key that was flattened before it came here are one. Where two keys of a
run have one address, the one that is nested deeper is meant; of two in equal depth, the last.
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
    text = json_text(value)
    return Value(Kind.LIST, 0.0, text if len(text) <= MAX_TEXT else "[]")


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
    stack = [iter([(0, "", values)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        depth, path, value = entry
        if not isinstance(value, Mapping):
            leaf = value_of(value)
            if leaf.kind is not Kind.NONE:
                yield depth, path, leaf
            continue
        stack.append(_inner(depth, path, value))


def _inner(depth: int, path: str, values: Mapping[str, Any]) -> Iterator[tuple[int, str, Any]]:
    for key, value in values.items():
        if depth == 0 and key == RESERVED:
            continue
        name = address(key.encode("utf-8", "replace").decode())
        yield depth + 1, f"{path}.{name}" if depth else name, value
