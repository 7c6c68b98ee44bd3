"""What history and export say of points that have expired: that they are not there is told, never
left open. A gap is told of when any of its steps was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import Lineage
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.expired import KEPT, Fills, among

from .blocks import rows
from .expired_series import OF_SERIES, TABLE
from .select import plain, select

MOST = 10_000
"""Gaps in one message."""

_KEYS = ("run", "metric", "rank", "attempt")
_COLUMNS = {
    **plain(*_KEYS),
    "points": "sum(n)",
    "step0": "min(first_step)",
    "step1": "max(last_step)",
    "time0": "toUnixTimestamp64Milli(min(first_time))",
    "time1": "toUnixTimestamp64Milli(max(last_time))",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Points of one series."""

    run: int
    metric: str
    rank: int
    attempt: int
    points: int
    first_step: int
    last_step: int
    first_time_ms: int
    last_time_ms: int

    def message(self, run_id: str) -> query_pb2.ExpiredPoints:
        """RUN_ID is empty for the run that was asked for."""
        return query_pb2.ExpiredPoints(
            metric=self.metric,
            rank=self.rank,
            attempt=self.attempt,
            run_id=run_id,
            points=self.points,
            first_step=self.first_step,
            last_step=self.last_step,
            first_time_ms=self.first_time_ms,
            last_time_ms=self.last_time_ms,
        )


def newer(now: Fills, before: Fills) -> Fills:
    """The fills that came since BEFORE."""
    return Fills(tuple(n for n in now.numbers if n not in before.numbers), now.epoch)


def history_gaps(
    store: Store,
    metric: str,
    rank: int,
    shown: Lineage,
    fills: Fills,
    limits: Mapping[str, Setting],
) -> list[Gap]:
    """What of one series SHOWN lacks. Raises StoreError."""
    where = ["metric = {metric:UInt64}", "rank = {rank:UInt32}"]
    params: dict[str, Param] = {"metric": siphash64(metric), "rank": rank}
    pieces = []
    for number, segment in enumerate(shown):
        terms = [f"run = {{run{number}:UInt64}}"]
        params[f"run{number}"] = segment.run
        if segment.attempt is not None:
            terms.append(f"attempt = {{attempt{number}:UInt32}}")
            params[f"attempt{number}"] = segment.attempt
        terms += [f"last_step >= {{first{number}:Int64}}", f"first_step <= {{last{number}:Int64}}"]
        params[f"first{number}"] = segment.from_step
        params[f"last{number}"] = segment.to_step - 1
        pieces.append(f"({' AND '.join(terms)})")
    if not pieces:
        return []
    names = {siphash64(metric): metric}
    return list(
        find_gaps(store, [*where, f"({' OR '.join(pieces)})"], params, names, fills, limits)
    )


def find_gaps(
    store: Store,
    where: Sequence[str],
    params: Mapping[str, Param],
    names: Mapping[int, str],
    fills: Fills,
    limits: Mapping[str, Setting],
) -> Iterator[Gap]:
    """Those of series that meet WHERE, series after series. Raises StoreError."""
    if not fills:
        return
    condition, numbers = among(fills)
    sql = select(
        _COLUMNS,
        TABLE,
        where=[condition, OF_SERIES, *where],
        group_by=_KEYS,
        order_by=_KEYS,
    )
    for run, metric, *row in rows(
        store.stream_native(sql, {**params, **numbers}, {**limits, **KEPT})
    ):
        yield Gap(run, names.get(metric, f"#{metric}"), *row)
