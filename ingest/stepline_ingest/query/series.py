"""What is stored of a run: the statistics that plans are made from. Read fresh for every request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store

from .blocks import rows
from .lineage import STEP_MIN, Lineage, lineage
from .plan import Extent

_BY_RANK = (
    f"SELECT run, metric, attempt, rank, count() AS points, min(step) AS first, max(step) AS last "
    f"FROM {tiers.TABLE} WHERE run IN {{runs:Array(UInt64)}} AND metric IN {{metrics:Array(UInt64)}}"
)
_ONE_RANK = " AND rank = {rank:UInt32}"
_GROUP = " GROUP BY run, metric, attempt, rank"
_OVER_RANKS = (
    "SELECT run, metric, attempt, count() AS ranks, sum(points) AS points, min(first) AS first, "
    "max(last) AS last FROM ({inner}) GROUP BY run, metric, attempt"
)
_FIRST_STEPS = (
    f"SELECT run, attempt, min(step) AS first FROM {tiers.TABLE} "
    "WHERE run IN {runs:Array(UInt64)} GROUP BY run, attempt"
)


@dataclass(frozen=True, slots=True)
class Series:
    """One run, metric and attempt; RANK is None when the extent is over all ranks."""

    run: int
    metric: int
    attempt: int
    rank: int | None
    extent: Extent


def read_series(
    store: Store,
    runs: Collection[int],
    metrics: Collection[int],
    *,
    limits: Mapping[str, Setting],
    by_rank: bool = False,
    rank: int | None = None,
) -> list[Series]:
    """The series of these runs and metrics that have points; of one rank when RANK is given."""
    params = {"runs": list(runs), "metrics": list(metrics)}
    inner = _BY_RANK
    if rank is not None:
        params["rank"] = rank
        inner += _ONE_RANK
    inner += _GROUP
    if by_rank or rank is not None:
        found = rows(store.stream_native(inner, params, _settings(tiers.SERIES, limits)))
        return [
            Series(run, metric, attempt, place, Extent(1, points, first, last))
            for run, metric, attempt, place, points, first, last in found
        ]
    found = rows(store.stream_native(_OVER_RANKS.format(inner=inner), params, _settings(tiers.SERIES, limits)))
    return [
        Series(run, metric, attempt, None, Extent(ranks, points, first, last))
        for run, metric, attempt, ranks, points, first, last in found
    ]


def read_lineages(
    store: Store, attempts: Mapping[int, Sequence[int]], limits: Mapping[str, Setting]
) -> dict[int, Lineage]:
    """Which attempt is visible where, for every run of ATTEMPTS, which gives the numbers of its attempts."""
    # A single attempt wins everywhere; there is nothing to look up.
    single = {run: numbers[0] for run, numbers in attempts.items() if len(numbers) == 1}
    lineages = {run: lineage([(number, STEP_MIN)]) for run, number in single.items()}
    several = [run for run in attempts if run not in single]
    if several:
        found = rows(
            store.stream_native(_FIRST_STEPS, {"runs": several}, _settings(tiers.LEDGER, limits))
        )
        first_steps: dict[int, list[tuple[int, int]]] = {run: [] for run in several}
        for run, attempt, first in found:
            first_steps[run].append((attempt, first))
        lineages |= {run: lineage(steps) for run, steps in first_steps.items()}
    return lineages


def visible(series: Iterable[Series], lineages: Mapping[int, Lineage]) -> list[tuple[Series, int, int]]:
    """Each series with the steps first <= step < end of it that its run shows; without those that show nothing."""
    shown = []
    for one in series:
        for segment in lineages[one.run]:
            part = segment.clip(one.extent.first_step, one.extent.last_step + 1)
            if segment.attempt == one.attempt and part is not None:
                shown.append((one, part.from_step, part.to_step))
    return shown


def _settings(projection: str, limits: Mapping[str, Setting]) -> dict[str, Setting]:
    return {**limits, "max_threads": 1, "preferred_optimize_projection_name": projection}
