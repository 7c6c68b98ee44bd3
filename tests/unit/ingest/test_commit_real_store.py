"""Group commit over a real engine whose answers get lost, or are wrong: what was acknowledged is
stored, and stored once, judged by the rows themselves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from stepline_ingest.points_repository import PointsRepository
from stepline_ingest.store import Store, StoreError
from stepline_ingest.store.staging import StagedBlock
from tests.support.writers import FAST, METRICS, Process, binding, columnar, plain

AUDIT = (
    "SELECT writer, count(), uniqExact(seq, metric), min(seq), max(seq) FROM raw_points "
    "WHERE run = {run:UInt64} GROUP BY writer"
)


class Flaky(PointsRepository):
    """Loses the outcome of every INSERT at least once: before the commit, after it, or both."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, ThreadPoolExecutor(2))
        self._to_lose: dict[str, list[str]] = {}

    def insert_points(self, block: StagedBlock, *, token: str, runs: Collection[int]) -> None:
        plans = (["before"], ["after"], ["after", "before", "after"])
        plan = self._to_lose.setdefault(token, list(plans[len(self._to_lose) % len(plans)]))
        lost = plan.pop(0) if plan else None
        if lost != "before":
            super().insert_points(block, token=token, runs=runs)
        if lost:
            raise StoreError("the answer was lost", outcome_unknown=True)


@pytest.mark.parametrize("window", [10_000, 1])
async def test_lost_answers_and_crashes(store: Store, window: int) -> None:
    """Scenario: three writers send ranges that overlap, through services that crash at random, over
    an engine that remembers WINDOW tokens and loses the answer to every INSERT. Guarantee: exactly
    once; as one group is under way at a time, one token is enough."""
    chance = random.Random(window)
    store.command(
        f"ALTER TABLE raw_points MODIFY SETTING non_replicated_deduplication_window = {window}"
    )
    places = [binding(rank, f"run-{window}") for rank in range(3)]
    flaky = Flaky(store)
    last, epoch = 60, 0
    marks = dict.fromkeys(places, 0)
    while any(mark < last for mark in marks.values()):
        epoch += 1
        process = Process(cast(Any, flaky), replace(FAST, group_ahead_rows=1))
        await process.__aenter__()
        streams = [await process.open(place, epoch) for place in places]
        for stream, place in zip(streams, places, strict=True):
            assert stream.writer is not None
            at = stream.writer.committed
            assert at >= marks[place], "an ack was taken back"
            encode: Callable[..., Any] = columnar
            while at < last:
                first = max(1, at + 1 - chance.randrange(4))
                at = min(last, first + chance.randrange(4, 20))
                await stream.send(encode(first, at))
                encode = plain
        if epoch < 4:
            await asyncio.sleep(chance.random() * 0.1)
            process.crash()
            await asyncio.gather(process.task, return_exceptions=True)
        else:
            for stream in streams:
                await stream.settled()
            await process.__aexit__()
        process.committer._persistence._executor.shutdown()  # an insert that runs may still land
        for stream, place in zip(streams, places, strict=True):
            assert stream.writer is not None
            marks[place] = stream.writer.committed
    points = last * len(METRICS)
    found = store.query(AUDIT, {"run": places[0].run})
    assert sorted(found) == sorted(
        (int.from_bytes(place.writer, "big"), points, points, 1, last) for place in places
    )


class InTheWay(PointsRepository):
    """A file lies where the next part would be, for one attempt."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, ThreadPoolExecutor(2))
        self.failures: list[str] = []
        ((part, number, path),) = store.query(
            "SELECT partition_id, max_block_number, path FROM system.parts "
            "WHERE database = currentDatabase() AND table = 'raw_points' AND active"
        )
        block = int(cast(int, number)) + 1
        self._file = Path(str(path)).parent / f"{part}_{block}_{block}_0"

    def insert_points(self, block: StagedBlock, *, token: str, runs: Collection[int]) -> None:
        if self.failures:
            super().insert_points(block, token=token, runs=runs)
            return
        self._file.touch()
        try:
            super().insert_points(block, token=token, runs=runs)
        except StoreError as error:
            self.failures.append(str(error))
            raise
        finally:
            self._file.unlink()


async def test_a_part_that_does_not_come_into_its_place(embedded: Store) -> None:
    """Scenario: a part is written, its token noted, and it cannot be renamed, as on a full disk;
    the engine takes the repetition for done. Guarantee: it is not acknowledged, and stored when
    it comes again."""
    place = binding()
    async with Process(cast(Any, PointsRepository(embedded, ThreadPoolExecutor(2)))) as process:
        stream = await process.open(place)
        await stream.send(columnar(1, 10))
        await stream.settled()
    repository = InTheWay(embedded)
    async with Process(cast(Any, repository)) as process:
        stream = await process.open(place, 2)
        await stream.send(columnar(11, 20))
        await stream.settled()
        assert "rename" in repository.failures[0]
        assert stream.writer is not None
        assert stream.writer.committed == 10
        again = await process.open(place, 3)
        await again.send(columnar(11, 20))
        await again.settled()
        assert again.error is None
    points = 20 * len(METRICS)
    number = int.from_bytes(place.writer, "big")
    assert embedded.query(AUDIT, {"run": place.run}) == [(number, points, points, 1, 20)]
