"""Which format an answer has, and whether it can be sent while it is made.

The engine writes each piece of a streamed answer as if it were the whole one. So what streams are
formats whose pieces can be put behind each other; the same header at the front of every piece is
known beforehand and taken off again. Everything else is made in memory first.
"""

from __future__ import annotations

import re

from .analyst import TOKEN
from .errors import StoreError

_ROWS_ONLY = (
    "Native",
    "RowBinary",
    "TabSeparated",
    "TabSeparatedRaw",
    "TSV",
    "TSVRaw",
    "CSV",
    "JSONEachRow",
    "JSONLines",
    "NDJSON",
    "JSONStringsEachRow",
    "JSONCompactEachRow",
    "JSONCompactStringsEachRow",
)
WITH_HEADER = frozenset(
    name + suffix
    for name in _ROWS_ONLY
    if name not in ("Native", "JSONEachRow", "JSONLines", "NDJSON", "JSONStringsEachRow")
    for suffix in ("WithNames", "WithNamesAndTypes")
)
STREAMED = WITH_HEADER.union(_ROWS_ONLY)

OBJECTS = frozenset({"arrowtable", "dataframe", "datastore"})
"""No formats of the engine: chDB makes Python objects of such an answer, in whatever case the name
is written, and holds the interpreter until all of it is made."""

_NAME = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_UNKNOWN_FORMAT = 73


def split_format(statement: str, default: str) -> tuple[str, str]:
    """A STATEMENT in the engine's canonical form without its FORMAT clause, and the name that the
    clause gave, or DEFAULT."""
    depth = 0
    found: tuple[int, int, str] | None = None
    tokens = [token for token in TOKEN.finditer(statement) if not token.group().isspace()]
    for index, token in enumerate(tokens):
        text = token.group()
        depth += (text == "(") - (text == ")")
        # In the canonical form a clause begins a line.
        begins = token.start() > 0 and statement[token.start() - 1] == "\n"
        if depth or not begins or text != "FORMAT" or index + 1 == len(tokens):
            continue
        name = tokens[index + 1]
        ends = index + 2 == len(tokens) or tokens[index + 2].group() == "SETTINGS"
        if ends and _NAME.fullmatch(name.group()):
            found = (token.start(), name.end(), name.group())
    if found is None:
        return statement, default
    start, end, name_ = found
    return (statement[: start - 1] + statement[end:]).strip(), name_


def check_format(name: str) -> None:
    """Raises StoreError where NAME makes no bytes that could be sent."""
    if name.lower() in OBJECTS:
        raise StoreError(
            f"{name} is an object in the memory of a program and cannot be sent: use Arrow, "
            "Parquet or JSONEachRow, and make it of the answer",
            code=_UNKNOWN_FORMAT,
            blames_query=True,
        )
