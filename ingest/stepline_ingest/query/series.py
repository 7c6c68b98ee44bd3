"""What is stored of runs: the statistics that plans are made from."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stepline_ingest.lineage import SYSTEM_PREFIX, Descent, Lineage
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.expired import Fills

from .blocks import rows
from .expired_series import kept_extents, kept_series
from .parallel import at_once
from .plan import Extent
from .select import plain, select
from .tier_table import rollups, series_table

_RUNS = "run IN {runs:Array(UInt64)}"
_METRICS = "metric IN {metrics:Array(UInt64)}"
_RANK = "rank = {rank:UInt32}"
_CUT = (
    "(run, metric) NOT IN (SELECT run, metric FROM raw_metrics WHERE run IN {runs:Array(UInt64)} "
    "AND startsWith(name, {system:String}))"
)
_SERIES = {
    **plain("run", "metric", "attempt", "rank"),
    "points": tiers.COUNT,
    "first_step": tiers.FIRST_STEP,
    "last_step": tiers.LAST_STEP,
}
_MEMO = "series"
_KEPT_BYTES = 300
"""About what the statistics of a series take in memory."""
_EXTENTS = {
    **plain("run", "attempt"),
    "first_step": tiers.FIRST_STEP,
    "last_step": tiers.LAST_STEP,
}


@dataclass(frozen=True, slots=True)
class Series:
    """What one attempt logged of a metric at RANKS."""

    run: int
    metric: int
    attempt: int
    ranks: tuple[int, ...]
    extent: Extent
    kept: bool = False
    """Some of its points have expired."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The steps first <= step < end of a series, which a line shows."""

    line: int
    """The key of its lineage."""
    series: Series
    first: int
    end: int


def read_series(
    store: Store,
    runs: Collection[int],
    metrics: Collection[int],
    *,
    limits: Mapping[str, Setting],
    rank: int | None = None,
) -> list[Series]:
    """The series of these runs and metrics that have points; of one rank when RANK is given. What
    was read before is not read again until points of the run are added.
    """
    wanted = [(run, metric) for run in runs for metric in metrics]
    versions = {run: store.memo.version([run]) for run in runs}
    found: dict[tuple[int, int], Sequence[Series]] = {}
    for run, metric in wanted:
        known = store.memo.get((_MEMO, run, metric, rank), versions[run])
        if known is not None:
            found[run, metric] = known
    unknown = [key for key in wanted if key not in found]
    if unknown:
        missing_runs = dict.fromkeys(run for run, _ in unknown)
        missing_metrics = dict.fromkeys(metric for _, metric in unknown)
        read: dict[tuple[int, int], list[Series]] = {}
        for one in _stored_series(store, missing_runs, missing_metrics, rank, limits):
            read.setdefault((one.run, one.metric), []).append(one)
        for run, metric in unknown:
            series = found[run, metric] = tuple(read.get((run, metric), ()))
            size = _KEPT_BYTES + sum(_KEPT_BYTES + 8 * len(one.ranks) for one in series)
            store.memo.keep((_MEMO, run, metric, rank), versions[run], series, size=size)
    return [one for key in wanted for one in found[key]]


def _stored_series(
    store: Store,
    runs: Collection[int],
    metrics: Collection[int],
    rank: int | None,
    limits: Mapping[str, Setting],
) -> list[Series]:
    params: dict[str, Param] = {"runs": list(runs), "metrics": list(metrics)}
    where = [_RUNS, _METRICS]
    if rank is not None:
        params["rank"] = rank
        where.append(_RANK)
    return store.expired.settled(
        lambda fills: _read_series(store, runs, where, params, fills, limits)
    )


def _read_series(
    store: Store,
    runs: Collection[int],
    where: Sequence[str],
    params: Mapping[str, Param],
    fills: Fills,
    limits: Mapping[str, Setting],
) -> list[Series]:
    keys = ("run", "metric", "attempt", "rank")
    columns, table, settings = _SERIES, tiers.TABLE, _settings(tiers.SERIES, limits)
    trusted, known = store.memo.version() is not None, rollups(store)
    complete = known.complete(store, runs)
    if complete:
        rollup = series_table(store)
        table = rollup.table
        columns = {name: rollup.results.get(one, one) for name, one in _SERIES.items()}
    sql = select(columns, table, where=where, group_by=keys)
    found: dict[tuple[int, int, int], dict[int, tuple[int, int, int]]] = {}
    kept: list[tuple[int, ...]] = []

    def read() -> None:
        for run, metric, attempt, rank, *row in rows(store.stream_native(sql, params, settings)):
            found.setdefault((run, metric, attempt), {})[rank] = (row[0], row[1], row[2])

    def look() -> None:
        known.look(store)

    def read_kept() -> None:
        kept.extend(kept_series(store, where, params, fills, limits))

    # What reads the cells will want to know it, and this costs no time of its own.
    looks = [] if complete or not trusted else [look]
    at_once([read, *looks, *([read_kept] if fills else [])])
    for run, metric, attempt, rank, *row in kept:
        ranks = found.setdefault((run, metric, attempt), {})
        points, first, last = ranks.get(rank, (0, row[1], row[2]))
        ranks[rank] = (points + row[0], min(first, row[1]), max(last, row[2]))
    of_kept = {(run, metric, attempt) for run, metric, attempt, *_ in kept}
    return [
        replace(_over_ranks(*key, sorted((r, *row) for r, row in ranks.items())), kept=True)
        if key in of_kept
        else _over_ranks(*key, sorted((r, *row) for r, row in ranks.items()))
        for key, ranks in sorted(found.items())
    ]


def read_lineages(
    store: Store, descents: Iterable[Descent], limits: Mapping[str, Setting]
) -> dict[int, Lineage]:
    """What the runs of DESCENTS show, by run."""
    of_run = {descent.run: descent for descent in descents}
    several = [run for run, descent in of_run.items() if not descent.single]
    first_steps = read_first_steps(store, several, limits)
    return {run: descent.lineage(first_steps.get(run, {})) for run, descent in of_run.items()}


def read_first_steps(
    store: Store, runs: Sequence[int], limits: Mapping[str, Setting]
) -> dict[int, dict[int, int]]:
    """The first step of each attempt of RUNS that has logged: run -> attempt -> step."""
    extents = read_extents(store, runs, limits)
    return {
        run: {number: first for number, (first, _) in attempts.items()}
        for run, attempts in extents.items()
    }


def read_extents(
    store: Store, runs: Sequence[int], limits: Mapping[str, Setting]
) -> dict[int, dict[int, tuple[int, int]]]:
    """The first and the last step of each attempt of RUNS that has logged: run -> attempt -> both.
    Without metrics that lineage does not cut.
    """
    versions = {run: store.memo.version([run]) for run in runs}
    found: dict[int, dict[int, tuple[int, int]]] = {}
    for run in runs:
        known = store.memo.get((_MEMO, run), versions[run])
        if known is not None:
            found[run] = known
    unknown = [run for run in runs if run not in found]
    if unknown:
        found |= store.expired.settled(lambda fills: _read_extents(store, unknown, fills, limits))
        for run in unknown:
            size = _KEPT_BYTES + 100 * len(found[run])
            store.memo.keep((_MEMO, run), versions[run], found[run], size=size)
    return found


def _read_extents(
    store: Store, runs: Sequence[int], fills: Fills, limits: Mapping[str, Setting]
) -> dict[int, dict[int, tuple[int, int]]]:
    found: dict[int, dict[int, tuple[int, int]]] = {run: {} for run in runs}
    where = [_RUNS, _CUT]
    sql = select(_EXTENTS, tiers.TABLE, where=where, group_by=("run", "attempt"))
    params: dict[str, Param] = {"runs": list(runs), "system": SYSTEM_PREFIX}
    stored = rows(store.stream_native(sql, params, _settings(tiers.SERIES, limits)))
    kept = kept_extents(store, where, params, fills, limits) if fills else ()
    for run, attempt, first, last in itertools.chain(stored, kept):
        low, high = found[run].get(attempt, (first, last))
        found[run][attempt] = (min(low, first), max(high, last))
    return found


def sources(lineages: Iterable[Lineage]) -> list[int]:
    """The runs whose points LINEAGES show."""
    return list(dict.fromkeys(segment.run for lineage in lineages for segment in lineage))


def visible(series: Iterable[Series], lineages: Mapping[int, Lineage]) -> list[Shown]:
    """What each line shows of SERIES; without the series of which it shows nothing."""
    by_run: dict[int, list[Series]] = {}
    for one in series:
        by_run.setdefault(one.run, []).append(one)
    shown = []
    for line, lineage in lineages.items():
        for segment in lineage:
            for one in by_run.get(segment.run, ()):
                part = segment.clip(one.extent.first_step, one.extent.last_step + 1)
                if part is not None and segment.holds(one.run, one.attempt):
                    shown.append(Shown(line, one, part.from_step, part.to_step))
    return shown


def _over_ranks(
    run: int, metric: int, attempt: int, parts: Sequence[tuple[int, int, int, int]]
) -> Series:
    ranks, points, first, last = zip(*parts, strict=True)
    extent = Extent(len(ranks), sum(points), min(first), max(last))
    return Series(run, metric, attempt, ranks, extent)


def _settings(projection: str, limits: Mapping[str, Setting]) -> dict[str, Setting]:
    return {**limits, "max_threads": 1, "preferred_optimize_projection_name": projection}
