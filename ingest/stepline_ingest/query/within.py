"""Charts of a range that is not one of steps: of wall time, of the time since a run began, of the
values of another metric.

Buckets are made of steps, and the same hour is another stretch of steps in each run. So the steps
are looked for first, run by run, in lines that are coarse and then finer, and each run is read over
its own. Where an axis goes up and down, all steps between the first and the last visit count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

import numpy as np

from .blocks import Array
from .names import UnknownMetricsError
from .reader import Line
from .request import Axis, ChartQuery, Range, Ranks, Span
from .views import View

Lines: TypeAlias = "Iterator[tuple[View, str, int | None, Line | None]]"
Read: TypeAlias = Callable[[ChartQuery], Lines]

_BUCKETS = 256
"""Of the lines that are searched."""
_FINE = 64
"""So many buckets between the first and the last one say well enough where a range begins."""
_PASSES = 5


@dataclass(frozen=True, slots=True)
class _Found:
    """Steps first <= step < end, known to a bucket of WIDTH."""

    first: int
    end: int
    width: int

    @property
    def fine(self) -> bool:
        return self.width <= 1 or (self.end - self.first) // self.width >= _FINE


def read_within(query: ChartQuery, span: Span, read: Read, *, began: Mapping[str, int]) -> Lines:
    """What READ gives of QUERY, which it takes without SPAN, over the steps that lie in SPAN on the
    axis of QUERY. BEGAN is when each run began, of Axis.RELATIVE.

    Raises UnknownMetricsError and what READ raises.
    """
    steps = steps_within(query, span, read, began=began)
    if query.group_by:
        # One grid for the runs of a group.
        known = list(steps.values())
        whole = Range(
            min((one.start for one in known if one.start is not None), default=0),
            max((one.stop for one in known if one.stop is not None), default=0),
        )
        yield from read(replace(query, steps=whole, within=None))
        return
    nothing = Range(0, 0)
    for own, run_ids in groupby(query.run_ids, key=lambda run_id: steps.get(run_id, nothing)):
        yield from _known(read, replace(query, run_ids=tuple(run_ids), steps=own, within=None))


def _known(read: Read, query: ChartQuery) -> Lines:
    try:
        yield from read(query)
    except UnknownMetricsError:
        # Other runs have them, or there would be no steps.
        return


def steps_within(
    query: ChartQuery, span: Span, read: Read, *, began: Mapping[str, int]
) -> dict[str, Range]:
    """By run id the steps on which a run visits SPAN; runs that never do are left out."""
    probe = _probe(query)
    found = {}
    for run_id, one in _search(read(probe), query.axis, span, began).items():
        closer: _Found | None = one
        for _ in range(_PASSES):
            if closer is None or closer.fine:
                break
            steps = Range(closer.first, closer.end)
            again = replace(probe, run_ids=(run_id,), steps=steps)
            finer = _search(read(again), query.axis, span, began).get(run_id)
            if finer == closer:
                break
            closer = finer
        if closer is not None:
            found[run_id] = _cut(query.steps, closer)
    return found


def _probe(query: ChartQuery) -> ChartQuery:
    """What tells where the axis of QUERY is on which step."""
    probe = replace(
        query,
        points=_BUCKETS,
        ranks=Ranks.ONE if query.ranks is Ranks.ONE else Ranks.BAND,
        common_grid=False,
        columns=frozenset({"count"}),
        smoothing=None,
        quantiles=(),
        log_x=False,
        group_by="",
        within=None,
    )
    if query.axis is not Axis.METRIC:
        return probe
    return replace(
        probe,
        metrics=(query.x_metric,),
        ranks=Ranks.BAND,
        axis=Axis.STEP,
        x_metric="",
        columns=frozenset({"min", "max"}),
    )


def _search(lines: Lines, axis: Axis, span: Span, began: Mapping[str, int]) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    for view, _, _, line in lines:
        if line is None or not len(line.columns["x"]):
            continue
        one = _visit(line, axis, span, began.get(view.run_id, 0))
        if one is not None:
            known = found.get(view.run_id, one)
            found[view.run_id] = _Found(
                min(one.first, known.first), max(one.end, known.end), max(one.width, known.width)
            )
    return found


def _visit(line: Line, axis: Axis, span: Span, began: int) -> _Found | None:
    """The buckets of LINE that may have points in SPAN."""
    columns = line.columns
    if axis is Axis.METRIC:
        inside = (columns["max"] >= span.lo) & (columns["min"] <= span.hi)
    else:
        begin = columns["moment"].astype(np.float64)
        if axis is Axis.RELATIVE:
            begin = begin - began
        # A bucket goes on until the next one begins; how long the last one does is not known
        # unless it is a single step, which it is not where a cell was put into one bucket.
        last = begin[-1] if line.grid.width == 1 and line.tier <= 1 else np.inf
        end = np.append(np.maximum(begin[1:], begin[:-1]), last)
        inside = (end >= span.lo) & (begin <= span.hi)
    rows = np.flatnonzero(inside)
    if not len(rows):
        return None
    width = line.grid.width
    first, last = _step(columns["x"], rows[0]), _step(columns["x"], rows[-1])
    return _Found(first, last // width * width + width, width)


def _step(x: Array, row: int) -> int:
    return int(x[row])


def _cut(steps: Range, found: _Found) -> Range:
    """What the request cuts besides."""
    first = found.first if steps.start is None else max(found.first, steps.start)
    end = found.end if steps.stop is None else min(found.end, steps.stop)
    return Range(first, max(first, end))
