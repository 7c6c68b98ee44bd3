"""The floor of bench/end_to_end.py: `python -m bench.floor SOURCE TARGET` reads all points of one
store into memory and inserts them into a fresh one in blocks of 1,000,000 rows. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.merges import settle
from stepline_ingest.schema import migrate
from stepline_ingest.store import open_store
from stepline_ingest.store.inserts import POINTS_COLUMNS, POINTS_TABLE
from stepline_ingest.varint import varint

BLOCK_ROWS = 1_000_000


def text(value: str) -> bytes:
    return varint(len(value)) + value.encode()


def blocks(source: Path) -> list[tuple[int, list[bytes]]]:
    """(rows, pieces) of each block."""
    store = open_store(None, source)
    columns: dict[str, list[bytes]] = {name: [] for name in POINTS_COLUMNS}
    types: dict[str, str] = {}
    rows = 0
    for block in store.stream_native(
        f"SELECT {', '.join(POINTS_COLUMNS)} FROM {POINTS_TABLE} ORDER BY run, metric, rank, "
        "attempt, step"
    ):
        rows += block.rows
        for column in block.columns:
            columns[column.name].append(bytes(column.buffer))
            types[column.name] = column.type
    store.close()
    joined = {name: b"".join(parts) for name, parts in columns.items()}
    found = []
    for first in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - first)
        pieces = [varint(len(POINTS_COLUMNS)) + varint(count)]
        for name in POINTS_COLUMNS:
            width = len(joined[name]) // rows
            pieces += [
                text(name) + text(types[name]),
                joined[name][first * width : (first + count) * width],
            ]
        found.append((count, pieces))
    return found


def main() -> None:
    prepared = blocks(Path(sys.argv[1]))
    store = open_store(None, Path(sys.argv[2]))
    migrate(store)
    began = time.perf_counter()
    for number, (rows, pieces) in enumerate(prepared):
        store.insert_points(pieces, rows=rows, token=f"floor-{number}")
    durable = time.perf_counter() - began
    print(json.dumps({"durable": durable, "settled": durable + settle(store)}))
    store.close()


if __name__ == "__main__":
    main()
