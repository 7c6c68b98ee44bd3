"""What is stored of a run: the statistics that plans are made from. Read fresh each time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store

from .blocks import rows
from .lineage import STEP_MIN, Lineage, lineage
from .plan import Extent
from .select import plain, select

_RUNS = "run IN {runs:Array(UInt64)}"
_METRICS = "metric IN {metrics:Array(UInt64)}"
_RANK = "rank = {rank:UInt32}"
_SERIES = {
    **plain("run", "metric", "attempt", "rank"),
    "points": tiers.COUNT,
    "first_step": tiers.FIRST_STEP,
    "last_step": tiers.LAST_STEP,
}
_FIRST_STEPS = {**plain("run", "attempt"), "first_step": tiers.FIRST_STEP}


@dataclass(frozen=True, slots=True)
class Series:
    """What one attempt logged of a metric at RANKS."""

    run: int
    metric: int
    attempt: int
    ranks: tuple[int, ...]
    extent: Extent


def read_series(
    store: Store,
    runs: Collection[int],
    metrics: Collection[int],
    *,
    limits: Mapping[str, Setting],
    rank: int | None = None,
) -> list[Series]:
    """The series of these runs and metrics that have points; of one rank when RANK is given."""
    params: dict[str, Param] = {"runs": list(runs), "metrics": list(metrics)}
    where = [_RUNS, _METRICS]
    if rank is not None:
        params["rank"] = rank
        where.append(_RANK)
    sql = select(_SERIES, tiers.TABLE, where=where, group_by=("run", "metric", "attempt", "rank"))
    found: dict[tuple[int, int, int], list[tuple[int, int, int, int]]] = {}
    for run, metric, attempt, *row in rows(
        store.stream_native(sql, params, _settings(tiers.SERIES, limits))
    ):
        found.setdefault((run, metric, attempt), []).append((row[0], row[1], row[2], row[3]))
    return [_over_ranks(*key, parts) for key, parts in found.items()]


def read_lineages(
    store: Store, attempts: Mapping[int, Sequence[int]], limits: Mapping[str, Setting]
) -> dict[int, Lineage]:
    """Which attempt is visible where, for every run of ATTEMPTS, which gives the numbers of its
    attempts.
    """
    # A single attempt wins everywhere; there is nothing to look up.
    single = {run: numbers[0] for run, numbers in attempts.items() if len(numbers) == 1}
    lineages = {run: lineage([(number, STEP_MIN)]) for run, number in single.items()}
    several = [run for run in attempts if run not in single]
    if several:
        sql = select(_FIRST_STEPS, tiers.TABLE, where=[_RUNS], group_by=("run", "attempt"))
        first_steps: dict[int, list[tuple[int, int]]] = {run: [] for run in several}
        for run, attempt, first in rows(
            store.stream_native(sql, {"runs": several}, _settings(tiers.LEDGER, limits))
        ):
            first_steps[run].append((attempt, first))
        lineages |= {run: lineage(steps) for run, steps in first_steps.items()}
    return lineages


def visible(
    series: Iterable[Series], lineages: Mapping[int, Lineage]
) -> list[tuple[Series, int, int]]:
    """Each series with the steps first <= step < end of it that its run shows; without those that
    show none.
    """
    shown = []
    for one in series:
        for segment in lineages[one.run]:
            part = segment.clip(one.extent.first_step, one.extent.last_step + 1)
            if segment.attempt == one.attempt and part is not None:
                shown.append((one, part.from_step, part.to_step))
    return shown


def _over_ranks(
    run: int, metric: int, attempt: int, parts: Sequence[tuple[int, int, int, int]]
) -> Series:
    ranks, points, first, last = zip(*parts, strict=True)
    extent = Extent(len(ranks), sum(points), min(first), max(last))
    return Series(run, metric, attempt, ranks, extent)


def _settings(projection: str, limits: Mapping[str, Setting]) -> dict[str, Setting]:
    return {**limits, "max_threads": 1, "preferred_optimize_projection_name": projection}
