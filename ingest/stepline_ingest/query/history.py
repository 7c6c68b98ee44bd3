"""Every point of one series, never sampled, in the order of steps, equal steps in the order of
logging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import NativeBlock, Setting, Store

from .blocks import closing_blocks, gathered
from .lineage import STEP_END, STEP_MIN, clip
from .names import UnknownMetricsError
from .request import Range
from .select import plain, select
from .series import read_lineages, read_series

CHUNK_ROWS = 65_536

_POINTS = select(
    plain("step", "time", "value"),
    tiers.TABLE,
    where=(
        "run = {run:UInt64}",
        "metric = {metric:UInt64}",
        "rank = {rank:UInt32}",
        "attempt = {attempt:UInt32}",
        "step >= {first:Int64}",
        "step <= {last:Int64}",
    ),
    order_by=("run", "metric", "rank", "attempt", "step", "writer", "seq"),
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


def read_history(
    store: Store, query: HistoryQuery, attempts: Sequence[int], limits: Mapping[str, Setting]
) -> Iterator[query_pb2.HistoryChunk]:
    """Chunks of up to about CHUNK_ROWS points. Closing the iterator ends the query.

    Raises UnknownMetricsError when the run has no point of the metric at any rank; StoreError.
    """
    run, metric = siphash64(query.run_id), siphash64(query.metric)
    series = read_series(store, [run], [metric], rank=query.rank, limits=limits)
    if not series and not read_series(store, [run], [metric], limits=limits):
        raise UnknownMetricsError([query.run_id], [query.metric])
    lo = STEP_MIN if query.steps.start is None else query.steps.start
    hi = STEP_END if query.steps.stop is None else query.steps.stop
    for segment in clip(read_lineages(store, {run: attempts}, limits)[run], lo, hi):
        params = {
            "run": run,
            "metric": metric,
            "rank": query.rank,
            "attempt": segment.attempt,
            "first": segment.from_step,
            "last": segment.to_step - 1,
        }
        with closing_blocks(store.stream_native(_POINTS, params, {**limits, **IN_ORDER})) as blocks:
            yield from map(_chunk, gathered(blocks, CHUNK_ROWS))


def _chunk(blocks: Sequence[NativeBlock]) -> query_pb2.HistoryChunk:
    def column(name: str) -> bytes:
        return b"".join(block[name].buffer for block in blocks)

    return query_pb2.HistoryChunk(
        rows=sum(block.rows for block in blocks),
        step=column("step"),
        time_ms=column("time"),
        value=column("value"),
    )
