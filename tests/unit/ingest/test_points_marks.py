"""Promise: the mark of a writer is what is stored or rejected of it, however many ask at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from stepline_ingest.coalesce import Lookup
from stepline_ingest.points_repository import PointsRepository
from stepline_ingest.writers import Binding
from tests.support.points import block, line


def place(number: int, *, run: int = 1, rank: int = 0) -> Binding:
    return Binding(writer=number.to_bytes(16, "big"), run_id="r", run=run, attempt=1, rank=rank)


async def test_marks_of_many_writers(store):
    points = [
        replace(point, writer=writer, rank=writer % 7)
        for writer in range(1, 41)
        for point in line(range(writer), run=1)
    ]
    store.insert_points([block(points)], rows=len(points), token="t")
    store.insert_rows(
        "raw_rejects",
        ("run", "writer", "attempt", "rank", "first_seq", "last_seq", "reason", "received"),
        [(1, 3, 1, 3, 4, 9, "", 0), (1, 50, 1, 1, 1, 5, "", 0)],
    )
    with ThreadPoolExecutor(2) as pool:
        repository = PointsRepository(store, pool)
        places = [place(number, rank=number % 7) for number in [*range(1, 41), 50, 60]]
        marks = await asyncio.gather(*(repository.mark(each) for each in places))
        assert marks == [1, 2, 9, *range(4, 41), 5, 0]
        assert await repository.mark(place(7, rank=1)) == 0, "another place, another writer"


async def test_an_answer_is_never_older_than_its_question():
    asked: list[list[int]] = []
    go = asyncio.Event()

    async def query(keys):
        asked.append(list(keys))
        await go.wait()
        return {key: len(asked) for key in keys if key}

    lookup = Lookup(query)
    first = asyncio.create_task(lookup.get(1))
    while not asked:
        await asyncio.sleep(0)
    others = [asyncio.create_task(lookup.get(key)) for key in (1, 2, 0)]
    await asyncio.sleep(0)
    go.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, None]
    assert asked == [[1], [1, 2, 0]]


async def test_a_failed_query_fails_those_who_asked():
    async def query(keys):
        raise ValueError("down")

    with pytest.raises(ValueError, match="down"):
        await Lookup(query).get(1)
