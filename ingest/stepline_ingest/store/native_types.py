"""The column types of ClickHouse's Native format that we read and write.

Layout of a column of n rows: numbers, times and enums are n little-endian integers or floats;
String is n times a varint length and the bytes; Array(T) is n uint64 end offsets and then all
elements as a column of T; Nullable(T) is n bytes, 1 where null, and then a column of T.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Protocol

from stepline_ingest.varint import varint

from .errors import StoreError


class Source(Protocol):
    """Bytes of a block, from front to back."""

    def take(self, size: int) -> memoryview: ...

    def varint(self) -> int: ...


class NativeType(Protocol):
    """How the values of one type lie in a column."""

    def read(self, source: Source, rows: int) -> object:
        """The raw column: a memoryview where the type has a fixed width."""

    def values(self, raw: object, rows: int) -> list[object]:
        """The raw column as Python values."""

    def encode(self, values: Sequence[object]) -> bytes: ...


class Fixed:
    """Numbers of a width that `struct` knows. Times are their integers."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._width = struct.calcsize("<" + code)
        kind = "b" if code == "?" else "f" if code in "fd" else "i" if code.islower() else "u"
        self.dtype = f"<{kind}{self._width}"
        """NumPy's name for a cell."""

    def read(self, source: Source, rows: int) -> memoryview:
        return source.take(rows * self._width)

    def values(self, raw: object, rows: int) -> list[object]:
        assert isinstance(raw, memoryview)
        return list(struct.unpack(f"<{rows}{self._code}", raw))

    def encode(self, values: Sequence[object]) -> bytes:
        return struct.pack(f"<{len(values)}{self._code}", *values)


class Wide:
    """Integers wider than 64 bits, and FixedString as bytes."""

    def __init__(self, width: int, *, kind: str) -> None:
        self.width = width
        self._kind = kind

    def read(self, source: Source, rows: int) -> memoryview:
        return source.take(rows * self.width)

    def values(self, raw: object, rows: int) -> list[object]:
        assert isinstance(raw, memoryview)
        cells = [bytes(raw[i : i + self.width]) for i in range(0, rows * self.width, self.width)]
        if self._kind == "bytes":
            return list(cells)
        return [int.from_bytes(c, "little", signed=self._kind == "signed") for c in cells]

    def encode(self, values: Sequence[object]) -> bytes:
        return b"".join(self._cell(value) for value in values)

    def _cell(self, value: object) -> bytes:
        if self._kind == "bytes":
            assert isinstance(value, bytes)
            return value.ljust(self.width, b"\0")
        assert isinstance(value, int)
        return value.to_bytes(self.width, "little", signed=self._kind == "signed")


class Text:
    """String. Bytes that are no UTF-8 come as surrogates, so that encoding them again restores
    them."""

    def read(self, source: Source, rows: int) -> list[bytes]:
        return [bytes(source.take(source.varint())) for _ in range(rows)]

    def values(self, raw: object, rows: int) -> list[object]:
        assert isinstance(raw, list)
        return [cell.decode("utf-8", "surrogateescape") for cell in raw]

    def encode(self, values: Sequence[object]) -> bytes:
        cells = (
            v if isinstance(v, bytes) else str(v).encode("utf-8", "surrogateescape") for v in values
        )
        return b"".join(varint(len(cell)) + cell for cell in cells)


class Array:
    def __init__(self, item: NativeType) -> None:
        self._item = item

    def read(self, source: Source, rows: int) -> tuple[tuple[int, ...], object]:
        ends = struct.unpack(f"<{rows}Q", source.take(8 * rows))
        return ends, self._item.read(source, ends[-1] if ends else 0)

    def values(self, raw: object, rows: int) -> list[object]:
        assert isinstance(raw, tuple)
        ends, items = raw
        flat = self._item.values(items, ends[-1] if ends else 0)
        starts = (0, *ends)
        return [flat[a:b] for a, b in zip(starts, ends, strict=False)]

    def encode(self, values: Sequence[object]) -> bytes:
        ends: list[int] = []
        flat: list[object] = []
        for cell in values:
            assert isinstance(cell, (list, tuple))
            flat.extend(cell)
            ends.append(len(flat))
        return struct.pack(f"<{len(ends)}Q", *ends) + self._item.encode(flat)


class Nullable:
    def __init__(self, item: NativeType) -> None:
        self._item = item

    def read(self, source: Source, rows: int) -> tuple[bytes, object]:
        return bytes(source.take(rows)), self._item.read(source, rows)

    def values(self, raw: object, rows: int) -> list[object]:
        assert isinstance(raw, tuple)
        nulls, items = raw
        values = self._item.values(items, rows)
        return [None if null else value for null, value in zip(nulls, values, strict=True)]

    def encode(self, values: Sequence[object]) -> bytes:
        filler: object = "" if isinstance(self._item, Text) else 0
        nulls = bytes(value is None for value in values)
        return nulls + self._item.encode([filler if v is None else v for v in values])


_FIXED = {
    "Bool": "?",
    "UInt8": "B",
    "UInt16": "H",
    "UInt32": "I",
    "UInt64": "Q",
    "Int8": "b",
    "Int16": "h",
    "Int32": "i",
    "Int64": "q",
    "Float32": "f",
    "Float64": "d",
    "Date": "H",
    "Date32": "i",
    "DateTime": "I",
    "DateTime64": "q",
    "Enum8": "b",
    "Enum16": "h",
    "IPv4": "I",
}
_WIDE = {
    "UInt128": (16, "unsigned"),
    "Int128": (16, "signed"),
    "UInt256": (32, "unsigned"),
    "Int256": (32, "signed"),
}
_NAME = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)


def native_type(name: str) -> NativeType:
    """The type called NAME, such as `Array(DateTime64(3, 'UTC'))`."""
    found = _NAME.fullmatch(name)
    head, argument = (found[1], found[2] or "") if found else (name, "")
    if head in _FIXED:
        return Fixed(_FIXED[head])
    if head in _WIDE:
        width, kind = _WIDE[head]
        return Wide(width, kind=kind)
    if head == "String":
        return Text()
    if head == "FixedString":
        return Wide(int(argument), kind="bytes")
    if head == "Array":
        return Array(native_type(argument))
    if head == "Nullable":
        return Nullable(native_type(argument))
    raise StoreError(
        f"columns of type {name} cannot be read here: CAST them in the query", blames_query=True
    )
