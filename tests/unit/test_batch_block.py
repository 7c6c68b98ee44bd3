"""From records over the wire format to rows of a real chDB table: bit for bit what was logged."""

from __future__ import annotations

import math
import os
import random
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chdb
import pytest

from stepline import _core

Record = tuple[int, int, int, dict[str, float]]
Row = tuple[int, int, int, int, int, int, int, str, int, int]

TABLE = """
CREATE TABLE points (
    run UInt64, metric UInt64, rank UInt32, attempt UInt32, step Int64, time DateTime64(3),
    value Float64, writer UInt128, seq UInt64, received DateTime
) ENGINE = MergeTree ORDER BY (run, metric, rank, attempt, step, seq)
"""

SPECIAL = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000001))[0],
    5e-324,
    1.7976931348623157e308,
    0.1,
    3.0,
]


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


class Table:
    """A table of its own, filled as the service fills it: from memory, in Native format."""

    def __init__(self, path: Path) -> None:
        self._connection = chdb.connect(str(path))
        self._connection.query("CREATE DATABASE stepline")
        self._connection.query(TABLE.replace("points", "stepline.points", 1))

    def insert(self, pieces: list[bytes]) -> None:
        descriptor = os.memfd_create("block")
        try:
            for piece in pieces:
                os.write(descriptor, piece)
            self._connection.query(
                f"INSERT INTO stepline.points FROM INFILE '/proc/self/fd/{descriptor}' "
                "COMPRESSION 'none' FORMAT Native"
            )
        finally:
            os.close(descriptor)

    def rows(self, order: str = "seq, metric") -> list[Row]:
        text = str(
            self._connection.query(
                "SELECT run, metric, rank, attempt, step, toUnixTimestamp64Milli(time), "
                "reinterpretAsUInt64(value), lower(hex(writer)), seq, toUnixTimestamp(received) "
                f"FROM stepline.points ORDER BY {order}",
                "TSV",
            )
        )
        rows = [line.split("\t") for line in text.splitlines()]
        return [
            (*(int(v) for v in row[:7]), row[7], int(row[8]), int(row[9]))  # type: ignore[misc]
            for row in rows
        ]

    def siphash64(self, text: str) -> int:
        return int(str(self._connection.query(f"SELECT sipHash64('{text}')", "TSV")))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "store")
    yield table
    table.close()


def session(writer: bytes, **changes: int) -> _core.WriterSession:
    options: dict[str, Any] = {
        "run": 2**64 - 1,
        "attempt": 3,
        "rank": 7,
        "max_batch_bytes": 1 << 20,
        "max_batch_points": 200_000,
        "max_decoded_bytes": 16 << 20,
        "max_name_bytes": 1024,
        "max_metrics": 100_000,
    }
    return _core.WriterSession(writer=writer, **{**options, **changes})


def expected(records: list[Record], writer: bytes, received: int, **key: int) -> list[Row]:
    run, rank, attempt = key.get("run", 2**64 - 1), key.get("rank", 7), key.get("attempt", 3)
    rows: list[Row] = [
        (
            run,
            _core.siphash64(name),
            rank,
            attempt,
            step,
            time,
            bits(value),
            writer.hex(),
            seq,
            received,
        )
        for seq, step, time, metrics in records
        for name, value in metrics.items()
    ]
    return sorted(rows, key=lambda row: (row[8], row[1]))


def random_records(seed: int, first: int, count: int) -> list[Record]:
    rng = random.Random(seed)
    keys = [[f"m{rng.randrange(40)}" for _ in range(rng.randrange(1, 12))] for _ in range(6)]
    records = []
    for seq in range(first, first + count):
        step = rng.choice([seq, -seq, 2**63 - 1, -(2**63), rng.randrange(10_000)])
        values = {
            name: rng.choice([rng.random(), rng.choice(SPECIAL), float(rng.randrange(100))])
            for name in rng.choice(keys)
        }
        records.append((seq, step, 1_750_000_000_000 + seq * 13, values))
    return records


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_a_real_table_equal_what_was_logged(table: Table, seed: int) -> None:
    writer = uuid.uuid4().bytes
    decoder = session(writer)
    records = random_records(seed, 1, 400)
    batch = decoder.decode_columnar(1, 400, _core.encode_batch(records))
    assert batch.points == sum(len(metrics) for *_, metrics in records)
    assert dict(batch.new_metrics) == {
        _core.siphash64(name): name for *_, metrics in records for name in metrics
    }
    pieces, rows = _core.build_block([(batch, 0)], 1_760_000_000)
    assert rows == batch.points
    table.insert(pieces)
    assert table.rows() == expected(records, writer, 1_760_000_000)


def test_many_writers_in_one_block_without_what_is_stored(table: Table) -> None:
    parts, wanted = [], []
    for rank in range(5):
        writer = uuid.uuid4().bytes
        for start in (1, 31):
            records = random_records(rank, start, 30)
            data = _core.encode_batch(records)
            batch = session(writer, rank=rank, run=11).decode_columnar(start, start + 29, data)
            after = start + rank * 7
            parts.append((batch, after))
            kept = [record for record in records if record[0] > after]
            wanted += expected(kept, writer, 5, rank=rank, run=11)
    pieces, rows = _core.build_block(parts, 5)
    assert rows == len(wanted)
    table.insert(pieces)
    assert sorted(table.rows()) == sorted(wanted)


def test_chunks_come_in_the_order_of_the_key(table: Table) -> None:
    batches = []
    for rank in (2, 0, 1):
        records: list[Record] = [
            (seq, seq, seq, {f"m{m}": float(seq) for m in range(20)}) for seq in range(1, 11)
        ]
        for start in (0, 5):
            data = _core.encode_batch(records[start : start + 5])
            batch = session(bytes(16), rank=rank).decode_columnar(start + 1, start + 5, data)
            batches.append((batch, 0))
    pieces, rows = _core.build_block(batches, 1)
    assert rows == 600
    metrics = struct.unpack(f"<{rows}Q", pieces[1][-8 * rows :])
    ranks = struct.unpack(f"<{rows}I", pieces[2][-4 * rows :])
    steps = struct.unpack(f"<{rows}q", pieces[4][-8 * rows :])
    keys = list(zip(metrics, ranks, steps, strict=True))
    assert keys == sorted(keys)
    table.insert(pieces)
    assert len(table.rows()) == 600


def test_a_block_in_a_file_is_the_block_in_memory(tmp_path: Path) -> None:
    parts = []
    for rank in range(3):
        data = _core.encode_batch(random_records(rank, 1, 200))
        parts.append((session(bytes(16), rank=rank).decode_columnar(1, 200, data), 10 * rank))
    pieces, rows = _core.build_block(parts, 9)
    path = tmp_path / "block"
    with path.open("wb") as file:
        assert _core.write_block(parts, 9, file.fileno()) == rows
        file.seek(0)
        assert _core.write_block(parts, 9, file.fileno()) == rows
    assert path.read_bytes() == b"".join(pieces)
    with path.open("rb") as file, pytest.raises(OSError):  # noqa: PT011
        _core.write_block(parts, 9, file.fileno())
    with pytest.raises(OSError):  # noqa: PT011
        _core.write_block(parts, 9, -1)


def test_nothing_new_is_an_empty_block() -> None:
    data = _core.encode_batch([(1, 0, 0, {"a": 1.0})])
    batch = session(bytes(16)).decode_columnar(1, 1, data)
    assert _core.build_block([(batch, 1)], 0) == ([], 0)
    assert _core.build_block([], 0) == ([], 0)


def test_siphash64_equals_that_of_the_store(table: Table) -> None:
    for text in ["", "loss", "train/loss", "µ∂ 指标", "x" * 1000]:
        assert table.siphash64(text) == _core.siphash64(text)
