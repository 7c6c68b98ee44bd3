"""Every point of one series, never sampled, in the order of steps, equal steps in the order of
logging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import STEP_END, STEP_MIN, Descent, Lineage, clip, is_uncut, uncut
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import NativeBlock, Param, Setting, Store

from .blocks import closing_blocks, gathered
from .gaps import Gap, history_gaps, newer
from .names import UnknownMetricsError
from .request import Range
from .select import plain, select
from .series import read_lineages, read_series, sources

CHUNK_ROWS = 65_536

_COLUMNS = plain("step", "time", "value")
_SERIES = ("run = {run:UInt64}", "metric = {metric:UInt64}", "rank = {rank:UInt32}")
_STEPS = ("step >= {first:Int64}", "step <= {last:Int64}")
_POINTS = select(
    _COLUMNS,
    tiers.TABLE,
    where=(*_SERIES, "attempt = {attempt:UInt32}", *_STEPS),
    order_by=("run", "metric", "rank", "attempt", "step", "writer", "seq"),
)
_OF_ALL_ATTEMPTS = select(
    _COLUMNS,
    tiers.TABLE,
    where=(*_SERIES, *_STEPS),
    # The table lies in another order: this one is sorted.
    order_by=("step", "attempt", "writer", "seq"),
)
IN_ORDER: dict[str, Setting] = {
    # The table lies in this order, so the engine merges the parts as it reads and holds a block of
    # each.
    "optimize_read_in_order": 1,
    "optimize_use_projections": 0,
    "max_block_size": CHUNK_ROWS,
    "max_threads": 1,
}


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    run_id: str
    metric: str
    rank: int
    steps: Range
    all_attempts: bool = False


def read_history(
    store: Store,
    query: HistoryQuery,
    descent: Descent,
    limits: Mapping[str, Setting],
    *,
    ids: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[query_pb2.HistoryChunk]:
    """Chunks of up to about CHUNK_ROWS points. Closing the iterator ends the query. IDS are those
    of the other runs that a fork shows.

    Raises UnknownMetricsError when the run has no point of the metric at any rank; StoreError.
    """
    metric = siphash64(query.metric)
    shown = _lineage(store, query, descent, limits)
    runs = sources([shown]) or [descent.run]
    series = read_series(store, runs, [metric], rank=query.rank, limits=limits)
    if not series and not read_series(store, runs, [metric], limits=limits):
        raise UnknownMetricsError([query.run_id], [query.metric])
    lo = STEP_MIN if query.steps.start is None else query.steps.start
    hi = STEP_END if query.steps.stop is None else query.steps.stop
    # Of what goes while this is sent it is told at the end.
    fills = store.expired.fills()
    gaps = history_gaps(store, query.metric, query.rank, clip(shown, lo, hi), fills, limits)
    if gaps:
        yield query_pb2.HistoryChunk(expired=_named(gaps, descent, ids))
    for segment in clip(shown, lo, hi):
        params: dict[str, Param] = {
            "run": segment.run,
            "metric": metric,
            "rank": query.rank,
            "first": segment.from_step,
            "last": segment.to_step - 1,
        }
        sql = _OF_ALL_ATTEMPTS
        if segment.attempt is not None:
            sql = _POINTS
            params["attempt"] = segment.attempt
        with closing_blocks(store.stream_native(sql, params, {**limits, **IN_ORDER})) as blocks:
            for group in gathered(blocks, CHUNK_ROWS):
                chunk = _chunk(group)
                if query.all_attempts:
                    whose = segment.attempt if segment.run == descent.run else 0
                    chunk.attempt = np.full(chunk.rows, whose or 0, np.uint32).tobytes()
                yield chunk
    if not store.expired.unchanged(fills):
        late = newer(store.expired.fills(), fills)
        gaps = history_gaps(store, query.metric, query.rank, clip(shown, lo, hi), late, limits)
        if gaps:
            yield query_pb2.HistoryChunk(expired=_named(gaps, descent, ids))


def _named(
    gaps: Sequence[Gap], descent: Descent, ids: Mapping[int, str]
) -> list[query_pb2.ExpiredPoints]:
    return [
        gap.message("" if gap.run == descent.run else ids.get(gap.run, str(gap.run)))
        for gap in gaps
    ]


def _lineage(
    store: Store, query: HistoryQuery, descent: Descent, limits: Mapping[str, Setting]
) -> Lineage:
    if query.all_attempts:
        every = descent.every_attempt()
        if is_uncut(query.metric):
            every.pop(0, None)
        return tuple(segment for lineage in every.values() for segment in lineage)
    if is_uncut(query.metric):
        return uncut(descent.run)
    return read_lineages(store, [descent], limits)[descent.run]


def _chunk(blocks: Sequence[NativeBlock]) -> query_pb2.HistoryChunk:
    def column(name: str) -> bytes:
        return b"".join(block[name].buffer for block in blocks)

    return query_pb2.HistoryChunk(
        rows=sum(block.rows for block in blocks),
        step=column("step"),
        time_ms=column("time"),
        value=column("value"),
    )
