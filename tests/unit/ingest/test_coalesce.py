"""Promise: rows that come while others are stored go together, as many as one insert may take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from stepline_ingest.coalesce import Coalescer
from stepline_ingest.store.errors import StoreError


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


@pytest.mark.parametrize(
    "error", [StoreError("a row does not fit", blames_data=True), UnicodeError("a surrogate")]
)
async def test_a_row_that_cannot_be_stored_fails_alone(error: Exception) -> None:
    """The rows beside it may be of other projects."""
    stored: list[int] = []

    async def insert(rows: Sequence[int]) -> None:
        await asyncio.sleep(0.001)
        if 13 in rows:
            raise error
        stored.extend(rows)

    coalescer = Coalescer(insert)
    rows = [1, 2, 13, 4]
    told = await asyncio.gather(*map(coalescer.add, rows), return_exceptions=True)
    assert told == [None, None, error, None]
    assert stored == [1, 2, 4]


async def test_rows_are_not_tried_one_by_one_at_a_store_that_fails() -> None:
    calls = 0

    async def insert(rows: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.001)
        raise StoreError("no answer")

    coalescer = Coalescer(insert)
    told = await asyncio.gather(*map(coalescer.add, range(5)), return_exceptions=True)
    assert all(isinstance(error, StoreError) for error in told)
    assert calls == 1
