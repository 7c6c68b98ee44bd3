"""Native as clients want it that name the revision of the protocol that they speak.

The engine in this process writes the oldest layout (see native.py). From revision 54454 on a block
begins with the information about itself, and a byte behind the type of each column says whether
its cells lie in an order of their own; clickhouse-go, and with it Grafana's data source, reads
nothing else. Both are put in here, and the cells stay as they are. Clients that name an older
revision are content with the oldest layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stepline_ingest.varint import read_varint

from .errors import StoreError

REVISION = 54454
"""The first one with a byte for each column."""

_INFO = bytes((1, 0, 2, 255, 255, 255, 255, 0))
"""No overflow of a GROUP BY, no bucket of one, no more to tell."""
_USUAL_ORDER = b"\0"

_Skip = Callable[[bytes, int, int], int]
"""Of a block, where some rows begin, and how many, gives where they end."""

_NOT_IMPLEMENTED = 48
_WIDTHS = {
    1: ("Bool", "UInt8", "Int8", "Enum8", "Nothing"),
    2: ("UInt16", "Int16", "Enum16", "Date", "BFloat16"),
    4: ("UInt32", "Int32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32", "Time"),
    8: ("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"),
    16: ("UInt128", "Int128", "UUID", "IPv6", "Decimal128"),
    32: ("UInt256", "Int256", "Decimal256"),
}
_WIDTH_OF = {name: width for width, names in _WIDTHS.items() for name in names}
_DIGITS = ((9, 4), (18, 8), (38, 16), (76, 32))
"""Digits of a Decimal, at most, and bytes."""
_TYPE = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_ARGUMENT = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|.", re.DOTALL)
_ELEMENT_NAME = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+)\s+(?=\w)")


def for_revision(
    pieces: Iterator[bytes], fmt: str, revision: int, *, whole: bool
) -> Iterator[bytes]:
    """PIECES of an answer in the format FMT for a client that speaks REVISION. WHOLE: each has
    whole blocks; else they are cut anywhere. Raises StoreError for types that are not known."""
    if fmt != "Native" or revision < REVISION:
        return pieces
    wholes = pieces if whole else iter([b"".join(pieces)])
    return (_in_new_layout(piece) for piece in wholes)


def _in_new_layout(blocks: bytes) -> bytes:
    try:
        return b"".join(_rewritten(blocks))
    except IndexError:
        raise _cut() from None


def _rewritten(data: bytes) -> Iterator[bytes]:
    done = 0
    while done < len(data):
        columns, at = read_varint(data, done)
        rows, at = read_varint(data, at)
        yield _INFO
        for _ in range(columns):
            name_size, at = read_varint(data, at)
            type_size, at = read_varint(data, at + name_size)
            cells = at + type_size
            kind = _cells_of(data[at:cells].decode("utf-8", "replace"))
            yield data[done:cells]
            yield _USUAL_ORDER
            at = kind.skip(data, cells + 8 * kind.dictionaries, rows) if rows else cells
            yield data[cells:at]
            done = at
        if not columns:
            yield data[done:at]
            done = at
    if done > len(data):
        raise _cut()


def _cut() -> StoreError:
    return StoreError("the store ended an answer inside a block", is_retryable=True)


@dataclass(frozen=True, slots=True)
class _Cells:
    """How the cells of a type lie."""

    skip: _Skip
    dictionaries: int = 0
    """Of LowCardinality within it; each has 8 bytes in front of all cells."""


@lru_cache(maxsize=500)
def _cells_of(name: str) -> _Cells:
    found = _TYPE.fullmatch(name)
    head, argument = (found[1], found[2] or "") if found else (name, "")
    if head in _WIDTH_OF:
        return _Cells(_fixed(_WIDTH_OF[head]))
    if head.startswith("Interval"):
        return _Cells(_fixed(8))
    if head == "FixedString":
        return _Cells(_fixed(int(argument)))
    if head == "Decimal":
        digits = int(argument.partition(",")[0])
        return _Cells(_fixed(next(width for most, width in _DIGITS if digits <= most)))
    if head == "String":
        return _Cells(_skip_text)
    if head == "LowCardinality":
        # What is null is the first one of its dictionary.
        keys = _cells_of(argument.removeprefix("Nullable(").removesuffix(")"))
        return _Cells(_dictionary(keys.skip), 1)
    if head in ("Nullable", "Array", "Map", "Tuple", "Nested") and argument:
        items = [_cells_of(_of_element(item)) for item in _arguments(argument)]
        skip = _together([_fixed(1)] * (head == "Nullable") + [item.skip for item in items])
        flat = head in ("Nullable", "Tuple")
        return _Cells(skip if flat else _array(skip), sum(item.dictionaries for item in items))
    raise StoreError(
        f"columns of type {name} are not given to a client of this revision of ClickHouse's "
        "protocol: CAST them in the query, to String for instance",
        code=_NOT_IMPLEMENTED,
        blames_query=True,
    )


def _fixed(width: int) -> _Skip:
    return lambda data, at, rows: at + width * rows


def _skip_text(data: bytes, at: int, rows: int) -> int:
    for _ in range(rows):
        size = data[at]
        if size < 0x80:
            at += 1 + size
        else:
            size, at = read_varint(data, at)
            at += size
    return at


def _array(item: _Skip) -> _Skip:
    def skip(data: bytes, at: int, rows: int) -> int:
        return item(data, at + 8 * rows, _number(data, at + 8 * rows - 8)) if rows else at

    return skip


def _dictionary(keys: _Skip) -> _Skip:
    """The width of the indexes, how many keys, the keys, how many rows, their indexes."""

    def skip(data: bytes, at: int, rows: int) -> int:
        if not rows:
            return at
        width = 1 << data[at]
        at = keys(data, at + 16, _number(data, at + 8))
        return at + 8 + width * _number(data, at)

    return skip


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _together(items: Sequence[_Skip]) -> _Skip:
    """One column behind the other."""

    def skip(data: bytes, at: int, rows: int) -> int:
        for item in items:
            at = item(data, at, rows)
        return at

    return skip


def _arguments(text: str) -> list[str]:
    """TEXT at the commas outside of all brackets and quotes."""
    found, depth = [""], 0
    for token in _ARGUMENT.findall(text):
        depth += (token == "(") - (token == ")")
        if token == "," and not depth:
            found.append("")
        else:
            found[-1] += token
    return [one.strip() for one in found]


def _of_element(text: str) -> str:
    """The type of an element of a tuple, which may have a name before it."""
    return _ELEMENT_NAME.sub("", text, count=1) if _ELEMENT_NAME.match(text) else text
