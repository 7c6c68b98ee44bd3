"""A second reader of spools, written from docs/spool.md alone: it checks that the page is right.

It trusts its input (no checksums, no damage); `stepline_core::spool::SpoolReader` does not.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    seq: int
    name: str
    step: int
    time_ms: int
    value: float


@dataclass
class Contents:
    points: list[Point] = field(default_factory=list)
    controls: list[Any] = field(default_factory=list)

    def rows(self) -> list[tuple[int, dict[str, float]]]:
        """The points by sequence: (step, {name: value})."""
        rows: dict[int, tuple[int, dict[str, float]]] = {}
        for point in self.points:
            rows.setdefault(point.seq, (point.step, {}))[1][point.name] = point.value
        return [rows[seq] for seq in sorted(rows)]


def read_spool(path: str | Path) -> Contents:
    contents = Contents()
    for segment in sorted(Path(path).glob("*.seg")):
        _read_segment(segment.read_bytes(), contents)
    return contents


def _read_segment(data: bytes, out: Contents) -> None:
    assert data[:8] == b"STEPSPOL"
    assert struct.unpack_from("<I", data, 8) == (1,)
    names: dict[int, str] = {}
    key_sets: dict[int, tuple[int, ...]] = {}
    at = 64
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        if length == 0:
            return
        body = data[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8
        kind, number = struct.unpack_from("<B3xI", body)
        if kind == 1:
            names[number] = body[8:].decode()
        elif kind == 2:
            key_sets[number] = struct.unpack(f"<{(length - 8) // 4}I", body[8:])
        elif kind == 3:
            ids = key_sets[number]
            seq, step, time_ms, *values = struct.unpack(f"<Qqq{len(ids)}d", body[8:])
            out.points += [
                Point(seq, names[i], step, time_ms, v) for i, v in zip(ids, values, strict=True)
            ]
        elif kind == 4:
            seq, step, time_ms, *rest = struct.unpack(f"<Qqq{number}d{number}I", body[8:])
            pairs = zip(rest[number:], rest[:number], strict=True)
            out.points += [Point(seq, names[i], step, time_ms, v) for i, v in pairs]
        elif kind == 5:
            count = (length - 24) // 16
            seq, time_ms, *rest = struct.unpack(f"<Qq{count}q{count}d", body[8:])
            columns = zip(rest[:count], rest[count:], strict=True)
            out.points += [
                Point(seq + i, names[number], step, time_ms, v)
                for i, (step, v) in enumerate(columns)
            ]
        else:
            assert kind == 6
            out.controls.append(json.loads(body[16:]))


def change_value(spool: Path, seq: int, *, index: int) -> None:
    """Flips the lowest bit of one value of the row SEQ, and makes its checksum fit."""

    def flip(body: bytearray) -> bytearray:
        body[32 + 8 * index] ^= 1
        return body

    _rewrite(spool, seq, flip)


def drop_last_value(spool: Path, seq: int) -> None:
    """Makes the row SEQ a sparse one without its last value. Its place in the file stays."""

    def shorten(body: bytearray) -> bytearray:
        (key_set,) = struct.unpack_from("<I", body, 4)
        count = (len(body) - 32) // 8 - 1
        assert key_set == 0, "the names of another key set are not known here"
        head = struct.pack("<B3xI", 4, count) + bytes(body[8:32])
        names = struct.pack(f"<{count}I", *range(count))
        return bytearray(head + bytes(body[32 : 32 + 8 * count]) + names)

    _rewrite(spool, seq, shorten)


def _rewrite(spool: Path, seq: int, change: Callable[[bytearray], bytearray]) -> None:
    """Replaces the body of the row SEQ by one that takes as many multiples of 8."""
    for segment in sorted(spool.glob("*.seg")):
        data = bytearray(segment.read_bytes())
        at = 64
        while at + 8 <= len(data) and (length := struct.unpack_from("<I", data, at)[0]):
            body = data[at + 8 : at + 8 + length]
            size = (length + 7) // 8 * 8
            if body[0] == 3 and struct.unpack_from("<Q", body, 8) == (seq,):
                changed = change(bytearray(body))
                assert (len(changed) + 7) // 8 * 8 == size
                struct.pack_into("<II", data, at, len(changed), crc32c(changed))
                data[at + 8 : at + 8 + size] = changed.ljust(size, b"\0")
                segment.write_bytes(data)
                return
            at += 8 + size
    raise AssertionError(f"no row {seq} in {spool}")


def crc32c(data: bytes | bytearray) -> int:
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
