"""The text of a filter as words, each with its place; and errors that point at it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stepline_ingest.errors import ServiceError, invalid

MAX_TEXT = 64 << 10
"""Bytes of a filter, a sort key or a column."""
_SHOWN = 40

_WORD = re.compile(
    r"""
    (?P<blank>\s+)
    | (?P<number>[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign><=|>=|!=|==|<>|=~|!~|&&|\|\||[=<>!(),\[\]])
    | (?P<name>[^\W\d]\w*(?:[./](?:[\w@:%+\-]+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))*)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEANT = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text; KIND is number, text, sign, name, or end."""

    kind: str
    text: str
    place: int
    """Of its first character, from 0."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text that somebody typed, and what it is: "filter", "sort key", "column"."""

    what: str
    text: str

    def error(self, place: int, message: str) -> ServiceError:
        """INVALID_ARGUMENT that says where; MESSAGE ends with the remedy."""
        rest = self.text[place : place + _SHOWN]
        near = f", at {rest!r}" if rest.strip() else ", at its end"
        return invalid(f"{self.what}, character {place + 1}{near}: {message}")


def words(source: Source) -> list[Word]:
    """All words, and one of the kind "end". Raises ServiceError."""
    text = source.text
    if len(text) > MAX_TEXT or len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise invalid(
            f"this {source.what} has {len(text):,} characters, {MAX_TEXT:,} bytes are allowed: "
            "shorten it, or name runs by a tag"
        )
    found: list[Word] = []
    place = 0
    while place < len(text):
        match = _WORD.match(text, place)
        if match is None:
            raise source.error(place, _unreadable(text[place]))
        kind = match.lastgroup or ""
        if kind != "blank":
            found.append(Word(kind, match[0], place))
        place = match.end()
    found.append(Word("end", "", len(text)))
    return found


def unquoted(text: str) -> str:
    """What stands in a quoted text."""
    return _ESCAPE.sub(_unescaped, text[1:-1])


def quoted(text: str) -> str:
    """TEXT as it is written in a filter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def plain_name(name: str) -> str:
    """A path with what was quoted in it taken as it stands."""
    return _QUOTED.sub(lambda found: unquoted(found[0]), name)


def typed_name(prefix: str, name: str) -> str:
    """PREFIX.NAME as it is written in a filter: quoted where its characters need it."""
    plain = f"{prefix}.{name}"
    match = _WORD.fullmatch(plain)
    return plain if match is not None and match["name"] else f"{prefix}.{quoted(name)}"


def _unescaped(found: re.Match[str]) -> str:
    what = found[1]
    if len(what) == 1:
        return _MEANT.get(what, what)
    code = int(what[1:], 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _unreadable(character: str) -> str:
    if character in "\"'":
        return f"the text that begins here has no end: close it with {character}"
    if character.isdigit() or character in "+-.":
        return "this is no number: write it like 0.001, 3e-4 or -5, or a text in quotes"
    return 'this stands for nothing here: put texts and odd keys in quotes, such as config."a b"'
