"""Values on their way into a statement: parameters `{name:Type}` and settings.

ClickHouse takes a parameter as text in the notation of a TabSeparated field, and parses it as the
type that the statement names. So no value becomes a part of the statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from .errors import StoreError

Scalar: TypeAlias = "int | float | str | bool"
Param: TypeAlias = "Scalar | Sequence[int] | Sequence[float] | Sequence[str]"
Setting: TypeAlias = "int | float | str | bool"


class Escaped(str):
    """A parameter that came in the notation of ClickHouse already, whatever its type."""


_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"}
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNESCAPES = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def encode_params(params: Mapping[str, Param] | None) -> dict[str, str]:
    """Each value as the text that ClickHouse expects for a parameter."""
    return {
        checked_name("parameter", name): _field(value) for name, value in (params or {}).items()
    }


def settings_clause(settings: Mapping[str, Setting] | None) -> str:
    """` SETTINGS a = 1, b = 'x'`, or nothing."""
    return f" SETTINGS {settings_list(settings)}" if settings else ""


def settings_list(settings: Mapping[str, Setting]) -> str:
    """`a = 1, b = 'x'`."""
    return ", ".join(
        f"{checked_name('setting', name)} = {_literal(value)}" for name, value in settings.items()
    )


def unescaped(text: str) -> str:
    r"""The value of a string in the notation of a TabSeparated field (`\t`, `\n`, `\\`)."""
    return _ESCAPED.sub(lambda found: _UNESCAPES.get(found[1], found[1]), text)


def _field(value: Param) -> str:
    if isinstance(value, Escaped):
        return str(value)
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, Sequence):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    return _literal(value)


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return "'" + value.translate(_ESCAPES).replace("'", "\\'") + "'"
    return repr(value)


def checked_name(what: str, name: str) -> str:
    """NAME, which becomes part of a statement, if it is a plain identifier."""
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} is no name of a {what}", blames_query=True)
    return name
