"""A run whose points were received in several months, for tests of what expires."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stepline_ingest.retention import find_months
from stepline_ingest.store import Store, open_store
from stepline_ingest.writers import Binding
from tests.support.audited import Sample
from tests.support.points import Point, block

JANUARY, FEBRUARY = 1_767_700_000, 1_770_300_000


class Old(Sample):
    """The first 100 calls of rank 0 in January, 100 more in February, those of rank 1 later."""

    def build(self, store: Store) -> None:
        super().build(store)
        store.command("TRUNCATE TABLE raw_points")
        store.command("TRUNCATE TABLE raw_rejects")
        for received, first in ((JANUARY, 1), (FEBRUARY, 101)):
            points = self.points(range(first, first + 100))
            self.insert(store, [replace(p, received=received) for p in points], f"m{first}")
        self.insert(store, self.points(range(1, 51), rank=1), "other")

    def insert(self, store: Store, points: list[Point], token: str) -> None:
        store.insert_points([block(points)], rows=len(points), token=f"{self.run_id}-{token}")

    @property
    def place(self) -> Binding:
        return Binding(
            run_id=self.run_id,
            run=self.run,
            attempt=1,
            rank=0,
            writer=self.writer.to_bytes(16, "big"),
        )


def states(store: Store) -> list[tuple[int, str]]:
    return [(month.number, month.state) for month in find_months(store)]


def age(data: Path) -> None:
    """Everything that is stored was received in January."""
    store = open_store(None, data)
    columns = "run, metric, rank, attempt, step, time, value, writer, seq"
    store.command("CREATE TABLE moved AS raw_points")
    store.command(
        f"INSERT INTO moved ({columns}, received) SELECT {columns}, toDateTime({JANUARY}, 'UTC') "
        "FROM raw_points"
    )
    store.command("ALTER TABLE raw_points DELETE WHERE 1", {"mutations_sync": 1})
    store.command("ALTER TABLE moved MOVE PARTITION ID '202601' TO TABLE raw_points")
    store.command("DROP TABLE moved")
    store.close()
