"""ClickHouse's Native format: blocks of columns, without touching single points in Python.

Layout of a block: varint number of columns, varint number of rows; then for each column its name
and its type, both as varint length and bytes, and its data (see native_types.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stepline_ingest.varint import varint

from .errors import StoreError
from .native_types import Fixed, NativeType, native_type


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a block."""

    name: str
    type: str
    rows: int
    raw: object
    codec: NativeType

    @property
    def buffer(self) -> memoryview:
        """The little-endian cells of a type with a fixed width, back to back."""
        if not isinstance(self.raw, memoryview):
            raise TypeError(f"column {self.name} of type {self.type} is no single buffer")
        return self.raw

    @property
    def dtype(self) -> str:
        """NumPy's name for the cells, such as "<f8"."""
        if not isinstance(self.codec, Fixed):
            raise TypeError(f"column {self.name} of type {self.type} has no NumPy type")
        return self.codec.dtype

    def values(self) -> list[object]:
        return self.codec.values(self.raw, self.rows)


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """Some rows of a result."""

    rows: int
    columns: tuple[Column, ...]

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def tuples(self) -> list[tuple[object, ...]]:
        return list(zip(*(column.values() for column in self.columns), strict=True))


def read_blocks(chunks: Iterable[bytes]) -> Iterator[NativeBlock]:
    """The blocks of a stream that is cut anywhere. Raises StoreError when the stream ends inside a
    block."""
    source = _Chunks(chunks)
    while not source.at_end():
        columns, rows = source.varint(), source.varint()
        block = NativeBlock(rows, tuple(_read_column(source, rows) for _ in range(columns)))
        # A header without rows tells the columns of an empty result.
        if rows:
            yield block


def block_shape(pieces: Sequence[bytes]) -> tuple[int, int]:
    """Numbers of columns and rows that the first block announces."""
    source = _Chunks(pieces)
    return source.varint(), source.varint()


def write_block(columns: Sequence[tuple[str, str, Sequence[object]]]) -> bytes:
    """(name, type, values) of each column as one block."""
    rows = len(columns[0][2]) if columns else 0
    parts = [varint(len(columns)), varint(rows)]
    for name, type_name, values in columns:
        if len(values) != rows:
            raise ValueError(f"column {name} has {len(values)} values, the first one {rows}")
        parts += [_text(name), _text(type_name)]
        if rows:
            parts.append(native_type(type_name).encode(values))
    return b"".join(parts)


def _read_column(source: _Chunks, rows: int) -> Column:
    name = bytes(source.take(source.varint())).decode()
    type_name = bytes(source.take(source.varint())).decode()
    codec = native_type(type_name)
    return Column(
        name, type_name, rows, codec.read(source, rows) if rows else memoryview(b""), codec
    )


def _text(value: str) -> bytes:
    cell = value.encode()
    return varint(len(cell)) + cell


class _Chunks:
    """Chunks as one run of bytes. What lies inside one chunk is not copied."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._view = memoryview(b"")

    def at_end(self) -> bool:
        while not self._view:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._view = memoryview(chunk)
        return False

    def take(self, size: int) -> memoryview:
        if len(self._view) < size:
            self._gather(size)
        taken, self._view = self._view[:size], self._view[size:]
        return taken

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _gather(self, size: int) -> None:
        parts, have = [self._view], len(self._view)
        while have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise StoreError("the result of the store ended inside a block", is_retryable=True)
            parts.append(memoryview(chunk))
            have += len(chunk)
        self._view = memoryview(b"".join(parts))
