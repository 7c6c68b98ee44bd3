"""Figures that cost a look at the engine or the disk: taken in a thread of its own, so that an
engine that hangs keeps neither the page of metrics nor a probe waiting."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.values import whole

from .names import Name
from .registry import Metrics

log = logging.getLogger(__name__)

INTERVAL = 15.0
"""Seconds between two looks."""
GRACE = 60

_TABLES = """
SELECT table, count(), sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE database = currentDatabase() AND active GROUP BY table
"""
_MEMORY = "SELECT toInt64(value) FROM system.metrics WHERE metric = 'MemoryTracking'"
_MUTATIONS = (
    "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
)
_MERGES = "SELECT count() FROM system.merges WHERE database = currentDatabase()"
_SET_ASIDE = (
    "SELECT count() FROM system.detached_parts WHERE database = currentDatabase() "
    "AND reason IN ('broken', 'broken-on-start')"
)
_OVERDUE = (
    "SELECT query_id, Settings['log_comment'], toUInt64(elapsed) FROM system.processes "
    "WHERE toUInt64OrZero(Settings['max_execution_time']) > 0 "
    "AND elapsed > toUInt64OrZero(Settings['max_execution_time']) + {grace:UInt32}"
)
"""The engine looks at the limit, and at KILL QUERY, between blocks of rows only."""


class Sampler:
    """Looks every INTERVAL seconds until `stop`. A query is overdue GRACE seconds after its
    limit."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        metrics: Metrics,
        *,
        interval: float = INTERVAL,
        grace: int = GRACE,
    ) -> None:
        self._store = store
        self._directory = directory
        self._metrics = metrics
        self._interval = interval
        self._grace = grace
        self._known_damage = 0
        self._known_overdue: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the store nothing more. Does not wait for a store that hangs."""
        self._stopping.set()

    def _run(self) -> None:
        while True:
            try:
                self.sample()
            except (StoreError, OSError) as error:
                log.debug("the engine gives no figures: %s", error)
            if self._stopping.wait(self._interval):
                return

    def _set_aside(self, parts: int) -> None:
        self._metrics.set(Name.PARTS_SET_ASIDE, parts)
        if parts > self._known_damage:
            log.error(
                "the engine found damaged parts, %d in all, and does not read them; `stepline "
                "doctor` says whether points are missing, and what to do",
                parts,
                extra={"event": "parts_set_aside"},
            )
        self._known_damage = parts

    def _overdue(self, queries: list[tuple[object, ...]]) -> None:
        self._metrics.set(Name.OVERDUE_QUERIES, len(queries))
        for query, whose, seconds in queries:
            if query not in self._known_overdue:
                log.warning(
                    "a query (%s) goes on long after its limit of time, and the engine cannot end "
                    "it; a restart of the service does, and loses nothing",
                    whose or "of the service or an admin",
                    extra={"event": "query_overdue", "seconds": seconds},
                )
        self._known_overdue = {str(query) for query, *_ in queries}

    def sample(self) -> None:
        """Takes all figures once. Raises StoreError, OSError."""
        disk = shutil.disk_usage(self._directory)
        self._metrics.set(Name.DISK_FREE_BYTES, disk.free)
        self._metrics.set(Name.DISK_SIZE_BYTES, disk.total)
        for table, parts, rows, nbytes in self._store.query(_TABLES):
            self._metrics.set(Name.PARTS, whole(parts), str(table))
            self._metrics.set(Name.ROWS, whole(rows), str(table))
            self._metrics.set(Name.STORE_BYTES, whole(nbytes), str(table))
        for name, sql in (
            (Name.ENGINE_MEMORY_BYTES, _MEMORY),
            (Name.MUTATIONS, _MUTATIONS),
            (Name.MERGES, _MERGES),
        ):
            for (value,) in self._store.query(sql):  # none when the closing store cut it off
                self._metrics.set(name, whole(value))
        for (value,) in self._store.query(_SET_ASIDE):
            self._set_aside(whole(value))
        self._overdue(self._store.query(_OVERDUE, {"grace": self._grace}))
        self._metrics.set(Name.SAMPLE_TIME, time.time())
