"""Points as Python objects, the block that stores them, and what a rollup of them must say."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stepline_ingest.store import POINTS_COLUMNS
from stepline_ingest.store.native import write_block

RECEIVED = 1_790_000_000
"""Seconds since the epoch: in September 2026."""
TYPES = (
    "UInt64",
    "UInt64",
    "UInt32",
    "UInt32",
    "Int64",
    "DateTime64(3)",
    "Float64",
    "UInt128",
    "UInt64",
    "DateTime",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    run: int = 1
    metric: int = 2
    rank: int = 0
    attempt: int = 1
    step: int
    time: int = 1_790_000_000_000
    value: float
    writer: int = 7 << 120
    seq: int
    received: int = RECEIVED


def block(points: Sequence[Point]) -> bytes:
    """One Native block."""
    return write_block(
        [
            (name, type_, [getattr(point, name) for point in points])
            for name, type_ in zip(POINTS_COLUMNS, TYPES, strict=True)
        ]
    )


def line(values: Iterable[float], **fixed: int) -> list[Point]:
    """Points of one series at the steps 0, 1, ..."""
    return [Point(step=i, seq=i + 1, value=value, **fixed) for i, value in enumerate(values)]


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def rollup(points: Sequence[Point]) -> tuple[object, ...]:
    """(count, nonfinite, min, its step, max, its step, first, last, first time, last time) by their
    definitions."""
    finite = [point for point in points if math.isfinite(point.value)]
    times = (min(p.time for p in points), max(p.time for p in points))
    counts = (len(points), len(points) - len(finite))
    if not finite:
        return (*counts, None, None, None, None, None, None, *times)
    low = min(finite, key=lambda p: (_ordered(p.value), p.step))
    high = min(finite, key=lambda p: (-_ordered(p.value), p.step))
    by_log = sorted(finite, key=lambda p: (p.step, p.seq))
    return (
        *counts,
        bits(low.value),
        low.step,
        bits(high.value),
        high.step,
        bits(by_log[0].value),
        bits(by_log[-1].value),
        *times,
    )


def _ordered(value: float) -> int:
    """An integer that orders like VALUE, and puts -0.0 before 0.0."""
    pattern = bits(value)
    return -(pattern & (2**63 - 1)) - 1 if pattern >> 63 else pattern
