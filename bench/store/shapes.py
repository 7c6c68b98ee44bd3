"""Synthetic points in the shapes that training jobs have, as Native blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stepline_ingest.varint import varint

RUN = 7
RECEIVED = 1_790_000_000
_FLUSH_MS = 137


@dataclass(frozen=True, slots=True)
class Shape:
    """BLOCKS inserts; in each, every rank logs every metric for STEPS steps."""

    name: str
    metrics: int
    ranks: int
    steps: int
    blocks: int

    @property
    def rows(self) -> int:
        return self.metrics * self.ranks * self.steps


def metric_ids(count: int) -> np.ndarray:
    """Numbers that look like hashes, the same in each run of the benchmark."""
    return np.random.default_rng(7).integers(1, 2**63, count).astype("<u8")


def blocks(shape: Shape, *, names: bool = False) -> Iterator[bytes]:
    """The inserts one after the other; with NAMES the metrics travel as strings."""
    return (_block(shape, number, names) for number in range(shape.blocks))


def _block(shape: Shape, number: int, names: bool) -> bytes:
    rng = np.random.default_rng(number)
    rows, series = shape.rows, shape.metrics * shape.ranks
    rank = np.repeat(np.arange(shape.ranks, dtype="<u4"), shape.metrics * shape.steps)
    step = np.tile(np.arange(shape.steps, dtype="<i8") + number * shape.steps, series)
    writer = np.zeros((rows, 2), dtype="<u8")
    writer[:, 0] = rank.astype("<u8") * np.uint64(0x9E3779B97F4A7C15)
    writer[:, 1] = 0x0190 << 48
    # A loss that falls, with the noise of float32.
    value = (2.0 / (1 + step / 1e4) + rng.normal(0, 0.05, rows)).astype("<f4").astype("<f8")
    time = RECEIVED * 1000 + step * _FLUSH_MS + rng.integers(0, 20, rows)
    columns = [
        ("run", "UInt64", np.full(rows, RUN, "<u8").tobytes()),
        _metric(shape, names),
        ("rank", "UInt32", rank.tobytes()),
        ("attempt", "UInt32", np.ones(rows, "<u4").tobytes()),
        ("step", "Int64", step.tobytes()),
        ("time", "DateTime64(3)", time.astype("<i8").tobytes()),
        ("value", "Float64", value.tobytes()),
        ("writer", "UInt128", writer.tobytes()),
        ("seq", "UInt64", (step + 1).astype("<u8").tobytes()),
        ("received", "DateTime", np.full(rows, RECEIVED, "<u4").tobytes()),
    ]
    parts = [varint(len(columns)), varint(rows)]
    for name, kind, data in columns:
        parts += [_text(name), _text(kind), data]
    return b"".join(parts)


def _metric(shape: Shape, names: bool) -> tuple[str, str, bytes]:
    if names:
        one_rank = b"".join(_text(f"train/m{i}") * shape.steps for i in range(shape.metrics))
        return "metric", "String", one_rank * shape.ranks
    ids = np.tile(np.repeat(metric_ids(shape.metrics), shape.steps), shape.ranks)
    return "metric", "UInt64", ids.tobytes()


def _text(text: str) -> bytes:
    return varint(len(text)) + text.encode()
