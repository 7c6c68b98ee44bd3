"""What the ingest path reads and writes beside the points themselves: marks, names, rejections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from stepline_ingest.coalesce import Lookup
from stepline_ingest.items import Reject
from stepline_ingest.metrics import metrics
from stepline_ingest.store.contract import Param, StagedBlock, Store
from stepline_ingest.store.values import whole
from stepline_ingest.writers import Binding

Result = TypeVar("Result")

# The ledger projection has one row a writer. Rejected ranges are settled too, so they raise the
# mark like points; and so does what was stored and has expired, also while that is written down.
_MARKS = """
SELECT writer, max(mark) FROM
(
    SELECT writer, max(seq) AS mark FROM raw_points
    WHERE run IN {runs:Array(UInt64)} AND attempt IN {attempts:Array(UInt32)}
        AND rank IN {ranks:Array(UInt32)} AND writer IN {writers:Array(UInt128)}
    GROUP BY run, attempt, rank, writer
    UNION ALL
    SELECT writer, max(last_seq) AS mark FROM raw_rejects
    WHERE run IN {runs:Array(UInt64)} AND writer IN {writers:Array(UInt128)}
    GROUP BY writer
    UNION ALL
    SELECT writer, max(last_seq) AS mark FROM raw_marks
    WHERE run IN {runs:Array(UInt64)} AND attempt IN {attempts:Array(UInt32)}
        AND rank IN {ranks:Array(UInt32)} AND writer IN {writers:Array(UInt128)}
    GROUP BY writer
)
GROUP BY writer
"""
_NAMES = "SELECT DISTINCT metric FROM raw_metrics WHERE run = {run:UInt64}"


class PointsRepository:
    """The tables of points. `mark` and `names` are for the event loop; the inserts block and are
    for the thread of the committer."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self._store = store
        self._executor = executor
        self._marks = Lookup(self._read_marks)

    async def mark(self, binding: Binding) -> int:
        """The highest sequence of a writer that is settled; 0 when nothing is."""
        mark = await self._marks.get(binding)
        metrics.mark_read()
        return mark or 0

    async def _read_marks(self, places: Sequence[Binding]) -> dict[Binding, int]:
        """A thousand ranks that come back together cost a few queries."""
        params: dict[str, Param] = {
            "runs": sorted({place.run for place in places}),
            "attempts": sorted({place.attempt for place in places}),
            "ranks": sorted({place.rank for place in places}),
            "writers": [int.from_bytes(place.writer, "big") for place in places],
        }
        ledger = {"preferred_optimize_projection_name": "ledger"}
        rows = await self._blocking(lambda: self._store.query(_MARKS, params, ledger))
        found = {whole(writer): whole(mark) for writer, mark in rows}
        return {place: found.get(int.from_bytes(place.writer, "big"), 0) for place in places}

    async def names(self, run: int) -> list[int]:
        """The ids of the metrics of a run."""
        rows = await self._blocking(lambda: self._store.query(_NAMES, {"run": run}))
        return [whole(metric) for (metric,) in rows]

    def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
        return self._store.stage_points(write)

    def insert_points(self, block: StagedBlock, *, token: str, runs: Collection[int]) -> None:
        self._store.insert_points(block, rows=block.rows, token=token, runs=runs)

    def insert_names(self, names: Sequence[tuple[int, int, str]]) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name", "first_seen"),
            [(run, metric, name, now_ms) for run, metric, name in names],
        )

    def insert_rejects(self, rejects: Sequence[Reject], received: int) -> None:
        rows = [
            (
                place.run,
                int.from_bytes(place.writer, "big"),
                place.attempt,
                place.rank,
                reject.first_seq,
                reject.last_seq,
                reject.reason,
                reject.payload,
                received,
            )
            for reject in rejects
            for place in (reject.writer.binding,)
        ]
        self._store.insert_rows("raw_rejects", _REJECT_COLUMNS, rows)

    async def _blocking(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


_REJECT_COLUMNS = (
    "run",
    "writer",
    "attempt",
    "rank",
    "first_seq",
    "last_seq",
    "reason",
    "payload",
    "received",
)
