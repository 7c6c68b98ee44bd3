"""What is made of lines that were read: lines of groups, smoothed ones, and messages."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepline_ingest.gen.stepline.v1 import query_pb2

from .blocks import Array
from .groups import Groups, joined
from .reader import Line
from .request import ARGNONFINITE, COLUMNS, Axis, ChartQuery
from .smoothing import Rough, Smoothing, places, smoothed

_MAX_WIDTH = 2**64 - 1
_AT_ONCE = 64
"""Lines that are smoothed together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an answer."""

    run_id: str
    metric: str
    rank: int | None
    line: Line | None
    """With the column "at" where the axis has one; None where nothing is to be shown."""
    attempt: int | None = None
    """The one that it is of, in a chart of all attempts."""
    group: str = ""
    members: Sequence[str] = ()
    """The runs of a group."""
    runs: Array | None = None
    """Of a group: those with a finite value in the bucket."""


def grouped(entries: Iterable[Entry], groups: Groups, query: ChartQuery) -> Iterator[Entry]:
    """One entry for each of GROUPS and metric, of ENTRIES that are of single runs."""
    found: dict[tuple[str, str], Line] = {}
    rank = None
    for entry in entries:
        rank = entry.rank
        if entry.line is not None and len(entry.line.columns["x"]):
            found[entry.run_id, entry.metric] = entry.line
    for group, members in groups.items():
        for metric in query.metrics:
            lines = [line for run in members if (line := found.get((run, metric))) is not None]
            whole = Entry("", metric, rank, None, group=group, members=members)
            if lines:
                join = joined([line.columns for line in lines], query.quantiles)
                tier = max(line.tier for line in lines)
                line = replace(lines[0], tier=tier, columns=join.columns, quantiles=join.quantiles)
                whole = replace(whole, line=line, runs=join.runs)
            yield whole


def with_smooth(entries: Iterable[Entry], how: Smoothing, axis: Axis) -> Iterator[Entry]:
    """ENTRIES with the column "smooth"."""
    left = iter(entries)
    while batch := list(itertools.islice(left, _AT_ONCE)):
        lines = [entry.line for entry in batch if entry.line is not None]
        values = iter(smoothed(how, [_rough(line, axis) for line in lines]))
        for entry in batch:
            if entry.line is None:
                yield entry
                continue
            columns = {**entry.line.columns, "smooth": next(values)}
            yield replace(entry, line=replace(entry.line, columns=columns))


def _rough(line: Line, axis: Axis) -> Rough:
    columns = line.columns
    moments = columns["at"] if axis in (Axis.TIME, Axis.RELATIVE) else None
    if line.even:
        place = places(columns["x"], line.grid.width, moments)
    else:
        # Even in the logarithm: one bucket is as far from the next as any other.
        place = np.arange(len(columns["x"]), dtype=np.float64)
    return Rough(columns["mean"], columns["count"] - columns["nonfinite"], place)


def message(entry: Entry, query: ChartQuery) -> query_pb2.ChartLine:
    """With the columns that QUERY wants."""
    found = query_pb2.ChartLine(
        run_id=entry.run_id,
        metric=entry.metric,
        rank=entry.rank,
        attempt=entry.attempt,
        group=entry.group,
        group_run_ids=entry.members,
    )
    line = entry.line
    if line is None:
        return found
    found.bucket_width = min(line.grid.width, _MAX_WIDTH) if line.even else 0
    found.tier_width = line.tier
    found.rows = len(line.columns["x"])
    made = ("at", "smooth", "widths")
    wanted = {"x", *query.columns, *made}
    for name in (*COLUMNS, ARGNONFINITE, *made):
        if name in wanted and name in line.columns:
            setattr(found, name, line.columns[name].tobytes())
    found.quantiles.extend(values.tobytes() for values in line.quantiles)
    if entry.runs is not None:
        found.group_runs = entry.runs.tobytes()
    if line.deviation is not None:
        found.deviation = line.deviation
    return found
