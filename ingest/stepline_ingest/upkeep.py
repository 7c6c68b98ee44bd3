"""Keeps the store in order while little is being written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from stepline_ingest.limits import Limits
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)


class Upkeep:
    """Builds the rollups that no merge has built, after a pause without commits.

    They are only a matter of speed: charts over parts without them read the points instead.
    """

    def __init__(
        self, store: Store, executor: Executor, limits: Limits, *, commits: Callable[[], int]
    ) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits
        self._commits = commits
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="upkeep")

    def stop(self) -> None:
        """Begins nothing more. What runs in the engine goes on when the store is opened again."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        kept = before = self._commits()
        while True:
            await asyncio.sleep(self._limits.upkeep_pause)
            now = self._commits()
            if now == before and now != kept:
                await self._build()
                kept = now
            before = now

    async def _build(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(
                self._executor,
                lambda: build_rollups(self._store, min_rows=self._limits.upkeep_rows),
            )
        except StoreError as error:
            log.warning("rollups could not be built, charts read points instead: %s", error)
        else:
            if rows:
                log.info("built the rollups of %d points", rows)
