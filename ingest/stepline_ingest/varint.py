"""LEB128: how protobuf and ClickHouse's Native write lengths and numbers."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """VALUE, which is not negative, in as many bytes as it takes."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at AT, and where it ends. Raises IndexError where DATA ends first."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
