"""What other services stored: where many write to one ClickHouse, commits of this one are not all
there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor

from stepline._core import siphash64
from stepline_ingest.limits import Limits
from stepline_ingest.query.blocks import rows
from stepline_ingest.query.failure import query_failure
from stepline_ingest.query.select import plain, select
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store, StoreError


class ForeignPoints:
    """One small query for all runs that are watched."""

    def __init__(self, store: Store, limits: Limits, executor: Executor) -> None:
        self._store = store
        self._limits = limits
        self._executor = executor

    async def marks(self, run_ids: list[str]) -> dict[str, int]:
        """The points that are stored of each run. Raises ServiceError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._read, run_ids)

    def _read(self, run_ids: list[str]) -> dict[str, int]:
        ids = {siphash64(run_id): run_id for run_id in run_ids}
        sql = select(
            {**plain("run"), "points": tiers.COUNT},
            tiers.TABLE,
            where=["run IN {runs:Array(UInt64)}"],
            group_by=("run",),
        )
        settings: Mapping[str, Setting] = {
            **self._limits.of_a_query(),
            "max_threads": 1,
            "preferred_optimize_projection_name": tiers.LEDGER,
        }
        try:
            found = rows(self._store.stream_native(sql, {"runs": list(ids)}, settings))
            return {ids[run]: points for run, points in found}
        except StoreError as error:
            raise query_failure(error, self._limits) from error
