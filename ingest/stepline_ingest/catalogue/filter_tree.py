"""What a filter says, as a tree; and the fields that it may name.

Every comparison is true or false of a run, never neither: of a run that has no value of the field,
or a value of another kind, it is false, and so `not` of it, and `!=`, are true.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from .filter_text import Source, plain_name


class FieldKind(Enum):
    """What a field is compared with."""

    TEXT = "text"
    TIME = "a time"
    NUMBER = "a number"
    TAGS = "tags"
    CONFIG = "config"
    SUMMARY = "summary"


COLUMNS = {
    "id": FieldKind.TEXT,
    "name": FieldKind.TEXT,
    "project": FieldKind.TEXT,
    "state": FieldKind.TEXT,
    "group": FieldKind.TEXT,
    "job_type": FieldKind.TEXT,
    "user": FieldKind.TEXT,
    "host": FieldKind.TEXT,
    "tags": FieldKind.TAGS,
    "notes": FieldKind.TEXT,
    "created": FieldKind.TIME,
    "updated": FieldKind.TIME,
    "attempts": FieldKind.NUMBER,
    "duration": FieldKind.NUMBER,
}
"""The fields of a run that are no keys."""
_MOVING = frozenset(("duration",))
"""Those whose value changes while nothing is written."""
_OF_ATTEMPTS = frozenset(("user", "host"))
"""Those that attempts say: the newest one that says them counts."""
_SPACES = {"config": FieldKind.CONFIG, "summary": FieldKind.SUMMARY}
STATES = ("running", "finished", "failed", "crashed", "preempted")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a run: NAME is that of COLUMNS, or the key behind `config.` or `summary.`."""

    kind: FieldKind
    name: str
    place: int = 0

    @property
    def is_key(self) -> bool:
        return self.kind in (FieldKind.CONFIG, FieldKind.SUMMARY)

    @property
    def moves(self) -> bool:
        """Whether its value changes while nothing is written."""
        return not self.is_key and self.name in _MOVING

    @property
    def is_of_attempts(self) -> bool:
        """Whether attempts say it, not the run."""
        return not self.is_key and self.name in _OF_ATTEMPTS


Literal: TypeAlias = "float | str | bool | None"


@dataclass(frozen=True, slots=True)
class Comparison:
    """OPERATOR is =, <, <=, >, >= (with VALUE), in (with VALUES), has (an element of tags or of a
    list), contains or matches. A time has milliseconds since the epoch as its value."""

    field: Field
    operator: str
    values: tuple[Literal, ...]
    place: int = 0

    @property
    def value(self) -> Literal:
        return self.values[0]


@dataclass(frozen=True, slots=True)
class Not:
    inner: Tree


@dataclass(frozen=True, slots=True)
class Both:
    """All of PARTS."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of PARTS."""

    parts: tuple[Tree, ...]


Tree: TypeAlias = "Comparison | Not | Both | Either"


@dataclass(frozen=True, slots=True)
class SortKey:
    field: Field
    descending: bool
    source: Source


def comparisons(tree: Tree) -> Iterator[Comparison]:
    """All of them, in the order of the text."""
    if isinstance(tree, Comparison):
        yield tree
    elif isinstance(tree, Not):
        yield from comparisons(tree.inner)
    else:
        for part in tree.parts:
            yield from comparisons(part)


def field_of(source: Source, text: str, place: int) -> Field:
    """The field that TEXT, which stands at PLACE of SOURCE, names. Raises ServiceError."""
    head, dot, _ = text.partition(".")
    if head in _SPACES and dot:
        name = plain_name(text)[len(head) + 1 :]
        return Field(_SPACES[head], name, place)
    if text in COLUMNS:
        return Field(COLUMNS[text], text, place)
    raise source.error(place, f"{text!r} is no field of a run: {_nearest(text)}")


def moved(field: Field, by: int) -> Field:
    return replace(field, place=field.place + by)


def _nearest(text: str) -> str:
    if text in _SPACES:
        return f"name one of its keys, such as {text}.KEY"
    known = [*COLUMNS, *_SPACES]
    near = difflib.get_close_matches(text.partition(".")[0].partition("/")[0], known, n=1)
    if near and near[0] in _SPACES:
        rest = text.replace("/", ".", 1).partition(".")[2]
        return f"did you mean {near[0]}.{rest or 'KEY'}?"
    if near:
        return f"did you mean {near[0]}?"
    return f"use {', '.join(COLUMNS)}, or config.{text} or summary.{text} for a key"
