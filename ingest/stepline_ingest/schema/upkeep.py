"""Rollups for parts that no merge comes to.

Merges build the rollups, and merge only parts that have the same ones. So a part that stays alone,
such as the last one of a bulk load or one between merged neighbours, would be read point by point
for ever, and would keep its neighbours from being merged (1,500 inserts of very different sizes: 33
parts and rising, with upkeep 3). What such parts lack is built in place; the other parts of the
partition are linked, not rewritten.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from . import tiers

log = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two looks."""
AGE = 60.0
"""Seconds after which a part counts as left alone: under load, merges come within seconds."""

_BARE = (
    "SELECT partition_id, count(), sum(rows) FROM system.parts "
    "WHERE database = currentDatabase() AND table = {table:String} AND active "
    "AND NOT hasAll(projections, {names:Array(String)}) "
    "GROUP BY partition_id HAVING min(modification_time) <= now() - toIntervalSecond({age:UInt32}) "
    "ORDER BY partition_id"
)
_RUNNING = (
    "SELECT count() FROM system.mutations "
    "WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done"
)


@dataclass(frozen=True, slots=True)
class Bare:
    """Parts of one partition that lack rollups."""

    partition: str
    parts: int
    rows: int


def bare_parts(store: Store, *, age: float = 0) -> list[Bare]:
    """Partitions with a part that has lacked rollups for AGE seconds."""
    found = store.query(
        _BARE, {"table": tiers.TABLE, "names": list(tiers.projections()), "age": int(age)}
    )
    return [Bare(str(id_), int(str(parts)), int(str(rows))) for id_, parts, rows in found]


def build_rollups(store: Store, *, age: float = 0, wait: bool = True) -> int:
    """Begins to build what `bare_parts` finds, and waits until it is there. Returns the points
    concerned."""
    bare = bare_parts(store, age=age)
    for partition in bare:
        _materialize(store, partition.partition, wait=wait)
    return sum(partition.rows for partition in bare)


def _materialize(store: Store, partition: str, *, wait: bool) -> None:
    if not partition.isalnum():
        raise StoreError(f"{partition!r} is no partition of {tiers.TABLE}")
    steps = ", ".join(
        f"MATERIALIZE PROJECTION {name} IN PARTITION ID '{partition}'"
        for name in tiers.projections()
    )
    store.command(f"ALTER TABLE {tiers.TABLE} {steps}", {"mutations_sync": 1 if wait else 0})


class Upkeep:
    """Looks after the parts of a store, in a thread, until `stop`."""

    def __init__(self, store: Store, *, interval: float = INTERVAL, age: float = AGE) -> None:
        self._store = store
        self._interval = interval
        self._age = age
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing is asked of the store any more. What the engine has begun it ends by
        itself, or at its next start."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._tend()

    def _tend(self) -> None:
        try:
            if self._store.query(_RUNNING, {"table": tiers.TABLE}) == [(0,)]:
                rows = build_rollups(self._store, age=self._age, wait=False)
                log.debug("building the rollups of %d points", rows)
        except StoreError as error:
            log.warning("rollups could not be built, trying again: %s", error)
