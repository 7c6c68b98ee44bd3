"""What the lines of a chart show: one line for each run of the request, or for each attempt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from stepline._core import siphash64
from stepline_ingest.lineage import Descent, Lineage, is_uncut, uncut
from stepline_ingest.store.contract import Setting, Store

from .request import ChartQuery
from .series import Series, Shown, read_lineages, sources, visible


@dataclass(frozen=True, slots=True)
class View:
    """One line, of each metric and rank of the request."""

    key: int
    run_id: str
    attempt: int | None = None
    """Of a line of one attempt; 0 is what the run was forked from."""


@dataclass(frozen=True, slots=True)
class Views:
    """All lines, in the order of the request."""

    views: tuple[View, ...]
    cut: Mapping[int, Lineage]
    """By the key of the view."""
    uncut: Mapping[int, Lineage]
    """The same for metrics that lineage does not cut."""

    def __iter__(self) -> Iterator[View]:
        return iter(self.views)

    @property
    def sources(self) -> list[int]:
        """The runs whose points are shown."""
        return sources([*self.cut.values(), *self.uncut.values()])

    def lineages(self, of_uncut: bool) -> Mapping[int, Lineage]:
        """By the key of the view."""
        return self.uncut if of_uncut else self.cut

    def visible(self, series: Iterable[Series], metrics: Mapping[str, int]) -> list[Shown]:
        """What the lines show of SERIES, which are of METRICS."""
        of_uncut = {metric for name, metric in metrics.items() if is_uncut(name)}
        found = list(series)
        shown = visible([one for one in found if one.metric not in of_uncut], self.cut)
        if of_uncut:
            shown += visible([one for one in found if one.metric in of_uncut], self.uncut)
        return shown


def read_views(
    store: Store,
    query: ChartQuery,
    descents: Mapping[str, Descent],
    limits: Mapping[str, Setting],
) -> Views:
    """What QUERY wants to see. Raises StoreError."""
    if query.all_attempts:
        return _every_attempt({run_id: descents[run_id] for run_id in query.run_ids})
    views = tuple(View(siphash64(run_id), run_id) for run_id in query.run_ids)
    cut = read_lineages(store, descents.values(), limits)
    return Views(views, cut, {view.key: uncut(view.key) for view in views})


def _every_attempt(descents: Mapping[str, Descent]) -> Views:
    views: list[View] = []
    shown: dict[int, Lineage] = {}
    whole: dict[int, Lineage] = {}
    for run_id, descent in descents.items():
        for attempt, lineage in descent.every_attempt().items():
            view = View(len(views), run_id, attempt)
            views.append(view)
            shown[view.key] = lineage
            whole[view.key] = lineage if attempt else ()
    return Views(tuple(views), shown, whole)
