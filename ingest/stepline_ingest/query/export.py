"""Every point of many series of a run, never sampled, in the order in which the table lies; of a
fork first what it shows of other runs, run after run.

A stream that broke off can be continued: a cursor names the last point by its series, its step, and
how many points of that step were sent. Points never change, so the rest follows.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType

import numpy as np

from stepline._core import siphash64
from stepline_ingest.errors import invalid
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.lineage import STEP_END, STEP_MIN, SYSTEM_PREFIX, Descent, Lineage, clip
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.expired import Fills

from .blocks import Array, closing_blocks, columns, gathered, runs_of_equal
from .gaps import MOST, find_gaps, newer
from .history import CHUNK_ROWS, IN_ORDER
from .names import UnknownMetricsError, matching_names, pattern_of
from .request import Range
from .select import plain, select
from .series import read_lineages, sources

_KEYS = ("metric", "rank", "attempt")
_COLUMNS = plain(*_KEYS, "step", "time", "value")
_ORDER = ("run", *_KEYS, "step", "writer", "seq")
_CURSOR = struct.Struct("<QQIIqQ")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last point that was sent: SENT points of its series have been, at its step."""

    run: int
    metric: int
    rank: int
    attempt: int
    step: int
    sent: int

    def pack(self) -> bytes:
        return _CURSOR.pack(self.run, self.metric, self.rank, self.attempt, self.step, self.sent)

    @classmethod
    def unpack(cls, data: bytes) -> Cursor | None:
        """None for the beginning. Raises ServiceError(INVALID_ARGUMENT)."""
        if not data:
            return None
        if len(data) != _CURSOR.size:
            raise invalid("`after` is no cursor of a chunk; leave it empty to begin again")
        return cls(*_CURSOR.unpack(data))


@dataclass(frozen=True, slots=True)
class ExportQuery:
    run_id: str
    patterns: tuple[str, ...]
    """Of the names of metrics; none for all."""
    ranks: tuple[int, ...]
    """None for all."""
    steps: Range
    all_attempts: bool
    after: Cursor | None


def read_export(
    store: Store,
    query: ExportQuery,
    descent: Descent,
    limits: Mapping[str, Setting],
    *,
    ids: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[query_pb2.ExportChunk]:
    """Chunks of up to about CHUNK_ROWS points. Closing the iterator ends the query. IDS are those
    of the other runs that a fork shows.

    Raises UnknownMetricsError when no name of the run matches; StoreError.
    """
    if query.all_attempts:
        shown = tuple(s for lineage in descent.every_attempt().values() for s in lineage)
    else:
        shown = read_lineages(store, [descent], limits)[descent.run]
    runs = list(dict.fromkeys([*sources([shown]), descent.run]))
    names = matching_names(store, runs, query.patterns, limits)
    if not names and query.patterns:
        raise UnknownMetricsError([query.run_id], query.patterns)
    if not names:
        return
    lo = STEP_MIN if query.steps.start is None else query.steps.start
    hi = STEP_END if query.steps.stop is None else query.steps.stop
    after = query.after
    if after is not None:
        if after.run not in runs:
            raise invalid("`after` is the cursor of another run; leave it empty to begin again")
        runs = runs[runs.index(after.run) :]
    end = after
    for run in runs:
        segments = clip(tuple(s for s in shown if s.run == run), lo, hi)
        where, params = _selection(query, run, segments, (lo, hi))
        run_id = "" if run == descent.run else ids.get(run, "")
        fills = store.expired.fills()
        gaps = partial(_gaps, store, where, params, names, limits, run_id)
        yield from gaps(fills, end)
        sql, params = _statement(where, params, after)
        for chunk in _chunks(store, run, run_id, sql, params, query.patterns, names, after, limits):
            end = Cursor.unpack(chunk.cursor)
            yield chunk
        if not store.expired.unchanged(fills):
            # They went while this was sent, and may be part of it.
            yield from gaps(newer(store.expired.fills(), fills), end)
        after = None


def _gaps(
    store: Store,
    where: Sequence[str],
    params: Mapping[str, Param],
    names: Mapping[int, str],
    limits: Mapping[str, Setting],
    run_id: str,
    fills: Fills,
    end: Cursor | None,
) -> Iterator[query_pb2.ExportChunk]:
    """What has expired of points that meet WHERE, told behind END."""
    overlapping = [_overlapping(term) for term in where]
    found = find_gaps(store, overlapping, params, names, fills, limits)
    cursor = b"" if end is None else end.pack()
    while told := [gap.message(run_id) for gap in islice(found, MOST)]:
        yield query_pb2.ExportChunk(expired=told, cursor=cursor)


def _overlapping(term: str) -> str:
    """TERM of a series that has steps from first_step to last_step."""
    return term.replace("step >= ", "last_step >= ").replace("step <= ", "first_step <= ")


def _chunks(
    store: Store,
    run: int,
    run_id: str,
    sql: str,
    params: Mapping[str, Param],
    patterns: Sequence[str],
    names: dict[int, str],
    after: Cursor | None,
    limits: Mapping[str, Setting],
) -> Iterator[query_pb2.ExportChunk]:
    end = after
    skip = 0 if end is None else end.sent
    with closing_blocks(store.stream_native(sql, params, {**limits, **IN_ORDER})) as blocks:
        for group in gathered(blocks, CHUNK_ROWS):
            found, skip = _without_first(columns(group), skip)
            if not len(found["step"]):
                continue
            end = _end(run, found, end)
            if any(int(metric) not in names for metric in np.unique(found["metric"])):
                # Logged for the first time since the names were read.
                names |= matching_names(store, [run], patterns, limits)
            yield _chunk(found, names, end, run_id)


def _selection(
    query: ExportQuery, run: int, segments: Lineage, steps: tuple[int, int]
) -> tuple[list[str], dict[str, Param]]:
    """The conditions of what SEGMENTS, and STEPS where lineage does not cut, have of RUN."""
    params: dict[str, Param] = {"run": run}
    where = ["run = {run:UInt64}", _shown(query, run, segments, steps, params)]
    if query.patterns:
        where.append(
            "metric IN (SELECT metric FROM raw_metrics "
            "WHERE run = {run:UInt64} AND match(name, {pattern:String}))"
        )
        params["pattern"] = pattern_of(query.patterns)
    if query.ranks:
        where.append("rank IN {ranks:Array(UInt32)}")
        params["ranks"] = list(query.ranks)
    return where, params


def _statement(
    where: Sequence[str], params: Mapping[str, Param], after: Cursor | None
) -> tuple[str, dict[str, Param]]:
    """The points that meet WHERE, behind AFTER."""
    every = dict(params)
    terms = list(where)
    if after is not None:
        terms += _AFTER
        every |= {
            "after_metric": after.metric,
            "after_rank": after.rank,
            "after_attempt": after.attempt,
            "after_step": after.step,
        }
    return select(_COLUMNS, tiers.TABLE, where=terms, order_by=_ORDER), every


def _shown(
    query: ExportQuery,
    run: int,
    segments: Lineage,
    steps: tuple[int, int],
    params: dict[str, Param],
) -> str:
    """The condition of the points that are shown."""
    pieces = []
    for number, segment in enumerate(segments):
        assert segment.attempt is not None  # that is what lineage does not cut
        pieces.append(
            f"(attempt = {{attempt{number}:UInt32}} "
            f"AND step >= {{first{number}:Int64}} AND step <= {{last{number}:Int64}})"
        )
        params[f"attempt{number}"] = segment.attempt
        params[f"first{number}"] = segment.from_step
        params[f"last{number}"] = segment.to_step - 1
    cut = f"({' OR '.join(pieces)})" if pieces else "0"
    own = run == siphash64(query.run_id)
    if own and query.all_attempts:
        return cut
    params["system"] = SYSTEM_PREFIX
    cut = f"({cut} AND metric NOT IN ({_UNCUT}))"
    if not own:
        return cut
    params |= {"first": steps[0], "last": steps[1] - 1}
    whole = f"(step >= {{first:Int64}} AND step <= {{last:Int64}} AND metric IN ({_UNCUT}))"
    return f"({cut} OR {whole})"


_UNCUT = select(
    plain("metric"),
    "raw_metrics",
    where=("run = {run:UInt64}", "startsWith(name, {system:String})"),
)
"""The metrics of a run that lineage does not cut."""
_AFTER = (
    "metric >= {after_metric:UInt64}",
    "(metric > {after_metric:UInt64} OR rank > {after_rank:UInt32} "
    "OR (rank = {after_rank:UInt32} AND (attempt > {after_attempt:UInt32} "
    "OR (attempt = {after_attempt:UInt32} AND step >= {after_step:Int64}))))",
)
"""From the step of the cursor on. The first term, which the second implies, is for the index."""


def _without_first(found: dict[str, Array], skip: int) -> tuple[dict[str, Array], int]:
    """Without the SKIP first rows, and how many rows are still to be skipped."""
    if not skip:
        return found, 0
    rows = len(found["step"])
    return {name: column[skip:] for name, column in found.items()}, max(0, skip - rows)


def _end(run: int, found: Mapping[str, Array], before: Cursor | None) -> Cursor:
    """The cursor behind the rows FOUND of RUN, which follow on BEFORE."""
    place = {name: int(found[name][-1]) for name in (*_KEYS, "step")}
    other = np.zeros(len(found["step"]), dtype=bool)
    for name, value in place.items():
        other |= found[name] != value
    differing = np.flatnonzero(other)
    sent = len(other) if not len(differing) else len(other) - 1 - int(differing[-1])
    end = Cursor(run, **place, sent=sent)
    if before is not None and not len(differing) and _same_step(before, end):
        return Cursor(run, **place, sent=sent + before.sent)
    return end


def _same_step(a: Cursor, b: Cursor) -> bool:
    return dataclasses.replace(a, sent=b.sent) == b


def _chunk(
    found: Mapping[str, Array], names: Mapping[int, str], end: Cursor, run_id: str
) -> query_pb2.ExportChunk:
    metric, rank, attempt = (found[name] for name in _KEYS)
    slices = [
        query_pb2.SeriesSlice(
            metric=names[int(metric[begin])],
            rank=int(rank[begin]),
            attempt=int(attempt[begin]),
            rows=stop - begin,
            run_id=run_id,
        )
        for begin, stop in runs_of_equal(metric, rank, attempt)
    ]
    return query_pb2.ExportChunk(
        slices=slices,
        step=found["step"].tobytes(),
        time_ms=found["time"].tobytes(),
        value=found["value"].tobytes(),
        cursor=end.pack(),
    )
