"""Which lines share their buckets.

Buckets suit a run: its steps decide how wide they are, so that a short run beside a long one keeps
its shape. Widths go by powers of two below that of all runs of the metric together. So there are
few of them however many runs there are, each is one panel, which is read at once; and runs of about
the same length have the same buckets, which makes them comparable bucket by bucket.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from stepline._core import siphash64
from stepline_ingest.lineage import is_uncut
from stepline_ingest.schema import tiers

from .grid import Grid, grid, grid_of_width, joined, width_for
from .plan import Extent
from .request import ChartQuery, Range
from .series import Shown


@dataclass(slots=True)
class Panel:
    """Lines with buckets of the same width: those of VIEWS, of each of the metrics."""

    grid: Grid
    uncut: bool
    """Lineage does not cut the metrics."""
    views: tuple[int, ...]
    metrics: list[int] = field(default_factory=list)
    extents: list[Extent] = field(default_factory=list)
    first: int = 2**63
    """The least step that is stored of its visible series, and one past the greatest one, before
    the request cuts."""
    end: int = -(2**63)
    kept: bool = False
    """Some of its points have expired."""
    places: set[int] = field(default_factory=set)
    """All ranks that logged."""

    @property
    def ranks(self) -> int:
        """How many they are."""
        return len(self.places)

    def add(self, metric: int, own: Grid, shown: Collection[Shown]) -> None:
        """Of METRIC the series SHOWN, whose buckets are OWN."""
        self.grid = joined(self.grid, own)
        self.metrics.append(metric)
        self.extents += [one.series.extent for one in shown]
        self.first = min(self.first, *(one.first for one in shown))
        self.end = max(self.end, *(one.end for one in shown))
        self.kept |= any(one.series.kept for one in shown)
        self.places.update(*(one.series.ranks for one in shown))


Grids = list[tuple[Grid, tuple[int, ...]]]


def panels(query: ChartQuery, shown: Sequence[Shown]) -> list[Panel]:
    """Of all lines that have a point in the range of QUERY."""
    by_metric: dict[int, dict[int, list[Shown]]] = {}
    for one in shown:
        by_metric.setdefault(one.series.metric, {}).setdefault(one.line, []).append(one)
    uncut = {siphash64(name) for name in query.metrics if is_uncut(name)}
    found: dict[tuple[object, ...], Panel] = {}
    # Metrics are mostly logged together, and then lie over the same steps.
    known: dict[tuple[tuple[int, tuple[int, int]], ...], Grids] = {}
    for metric, by_view in by_metric.items():
        spans = {view: span for view, s in by_view.items() if (span := _span(query.steps, s))}
        place = tuple(spans.items())
        if place not in known:
            known[place] = _grids(query, spans)
        for own, views in known[place]:
            alike = own.tier if own.count > 1 else own.origin
            key = (metric in uncut, views, own.width, alike)
            panel = found.setdefault(key, Panel(own, metric in uncut, views))
            panel.add(metric, own, [one for view in views for one in by_view[view]])
    return list(found.values())


def panel_of(like: Panel, metric: str, grid: Grid, shown: Sequence[Shown]) -> Panel | None:
    """Of METRIC for the views of LIKE, with the buckets GRID; None when they show nothing of it."""
    mine = [one for one in shown if one.line in like.views]
    if not mine:
        return None
    panel = Panel(grid, is_uncut(metric), like.views)
    panel.add(mine[0].series.metric, grid, mine)
    return panel


def _grids(query: ChartQuery, spans: dict[int, tuple[int, int]]) -> Grids:
    """The grids of a metric that covers these steps in each view, and the views that have them."""
    if not spans:
        return []
    lo, hi = min(a for a, _ in spans.values()), max(b for _, b in spans.values())
    common = grid(lo, hi, query.points, tiers.WIDTHS)
    if query.common_grid or query.points <= 2:
        return [(common, tuple(spans))]
    halvings: dict[int, list[int]] = {}
    for view, (first, end) in spans.items():
        halvings.setdefault(((hi - lo) // (end - first)).bit_length() - 1, []).append(view)
    found = []
    for number, views in sorted(halvings.items()):
        if not number:
            found.append((common, tuple(views)))
            continue
        width, tier = width_for(-(-(hi - lo) >> number), query.points, tiers.WIDTHS)
        first, end = min(spans[view][0] for view in views), max(spans[view][1] for view in views)
        found.append((grid_of_width(first, end, width, tier), tuple(views)))
    return found


def _span(steps: Range, shown: Sequence[Shown]) -> tuple[int, int] | None:
    """The steps that a line covers."""
    first, end = min(one.first for one in shown), max(one.end for one in shown)
    lo = first if steps.start is None else max(first, steps.start)
    hi = end if steps.stop is None else min(end, steps.stop)
    return (lo, hi) if lo < hi else None
