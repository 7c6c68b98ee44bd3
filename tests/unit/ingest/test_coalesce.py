"""Promise: rows that come while others are stored go together, as many as one insert may take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stepline_ingest.coalesce import Coalescer


class Table:
    """Stores when it is let to."""

    def __init__(self) -> None:
        self.inserts: list[list[int]] = []
        self.open = asyncio.Event()

    async def insert(self, rows: Sequence[int]) -> None:
        self.inserts.append(list(rows))
        await self.open.wait()


async def _store(coalescer: Coalescer[int], table: Table, rows: Sequence[int]) -> None:
    first = asyncio.create_task(coalescer.add(0))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(coalescer.add(row)) for row in rows]
    await asyncio.sleep(0.01)
    table.open.set()
    await asyncio.gather(first, *rest)


async def test_rows_that_come_meanwhile_go_together() -> None:
    table = Table()
    await _store(Coalescer(table.insert), table, [1, 2, 3])
    assert table.inserts == [[0], [1, 2, 3]]


async def test_an_insert_takes_no_more_than_it_may() -> None:
    table = Table()
    await _store(Coalescer(table.insert, max_rows=2), table, [1, 2, 3])
    assert table.inserts == [[0], [1, 2], [3]]


async def test_rows_have_weights_and_the_heaviest_goes_alone() -> None:
    table = Table()
    coalescer = Coalescer(table.insert, max_rows=10, weight=lambda row: row)
    await _store(coalescer, table, [4, 5, 900, 6, 1, 9])
    assert table.inserts == [[0], [4, 5], [900], [6, 1], [9]]
