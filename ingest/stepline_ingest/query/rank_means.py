"""The mean that each rank has in each bucket: what quantiles over ranks and stragglers are made of.

For 1,024 ranks of 100,000 steps these are 800,000 cells of a tier. They are read as they lie, from
a projection without grouping, and added up here: that takes the engine a seventh of the time that
it needs to group them by rank and bucket, or for quantilesExact over such groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import grpc
import numpy as np

from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import Refusal

from .blocks import Array
from .buckets import bucket_x
from .cells import Cells, group_starts
from .panels import Panel
from .quantiles import quantiles_over
from .reader import Line, LineKey, Reader
from .request import Range
from .stragglers import deviations

MAX_MEANS = 20_000_000
"""Ranks times buckets times lines that are held at a time, at 16 bytes each."""


@dataclass(frozen=True, slots=True)
class RankMeans:
    """Of one view and metric."""

    ranks: Array
    x: Array
    """int64, shape (buckets,): those in which any rank has points."""
    means: Array
    """Shape (buckets, ranks); NaN where a rank has no finite value."""
    logged: Array
    """Where it has points."""


def rank_means(reader: Reader, panel: Panel, steps: Range) -> dict[tuple[int, int], RankMeans]:
    """By view and metric. Raises StoreError, ServiceError(RESOURCE_EXHAUSTED)."""
    held = panel.grid.count * panel.ranks * len(panel.views) * len(panel.metrics)
    if held > MAX_MEANS:
        raise ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{panel.ranks} ranks in {panel.grid.count} buckets of {len(panel.metrics)} metrics "
            f"and {len(panel.views)} runs are more than can be compared at a time: ask for fewer "
            "points or metrics",
            refusal=Refusal.QUERY_LIMIT,
        )
    cells = reader.sums_by_rank(panel, steps)
    if cells is None:
        return {}
    found = {}
    for pair, rows in _by_line(cells):
        mine = {name: cells[name][rows] for name in ("rank", "bucket", *_SUMS)}
        found[pair] = _table(panel, mine)
    return found


def _by_line(cells: Cells) -> Iterator[tuple[tuple[int, int], Array | slice]]:
    """The view and metric of each line, and its rows."""
    run, metric = cells["run"], cells["metric"]
    if np.all(run == run[0]) and np.all(metric == metric[0]):
        yield (int(run[0]), int(metric[0])), slice(None)
        return
    order = np.lexsort((metric, run))
    starts = group_starts([run[order], metric[order]]).tolist()
    for begin, end in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[begin:end]
        yield (int(run[rows[0]]), int(metric[rows[0]])), rows


_SUMS = ("points", "nonfinite", "total")


def _table(panel: Panel, cells: Cells) -> RankMeans:
    # Ranks are small numbers (Limits.max_ranks): counting is much faster than sorting.
    logs = np.bincount(cells["rank"]) > 0
    ranks = np.flatnonzero(logs)
    rank = (np.cumsum(logs) - 1)[cells["rank"]]
    size = panel.grid.count * len(ranks)
    place = cells["bucket"] * len(ranks) + rank
    points, nonfinite, total = (
        np.bincount(place, weights=cells[name], minlength=size).reshape(-1, len(ranks))
        for name in _SUMS
    )
    some = np.flatnonzero(points.any(axis=1))
    points, finite, total = points[some], (points - nonfinite)[some], total[some]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(finite > 0, total / finite, np.nan)
    return RankMeans(ranks, bucket_x(panel.grid, some), means, points > 0)


def with_quantiles(
    lines: Mapping[LineKey, Line],
    by_rank: Mapping[tuple[int, int], RankMeans],
    wanted: Sequence[float],
) -> dict[LineKey, Line]:
    """LINES, which are bands, with the quantiles WANTED of the means of their ranks."""
    found = {}
    for key, line in lines.items():
        own = by_rank.get(key[:2])
        if own is None:
            found[key] = line
            continue
        # Points that came between the two reads are in one of them only.
        place = np.minimum(np.searchsorted(own.x, line.columns["x"]), len(own.x) - 1)
        there = own.x[place] == line.columns["x"]
        values = [
            np.where(there, column[place], np.nan) for column in quantiles_over(own.means, wanted)
        ]
        found[key] = replace(line, quantiles=values)
    return found


def worst_ranks(
    reader: Reader, panels: Sequence[Panel], steps: Range, count: int
) -> dict[tuple[int, int], dict[int, float]]:
    """By view and metric, the COUNT ranks that deviate most, the worst first, and how far; of equal
    ones the lower rank first."""
    found = {}
    for panel in panels:
        for key, own in rank_means(reader, panel, steps).items():
            far = deviations(own.means, own.logged)
            # The last bits are those of sums, which change when parts merge.
            order = np.argsort(-far.astype(np.float32), kind="stable")[:count]
            found[key] = {int(own.ranks[place]): float(far[place]) for place in order}
    return found
