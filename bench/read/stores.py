"""What is read: one store, filled by the engine itself.

Each series has a noisy curve. RANKS ranks write one metric; SERIES metrics have SERIES_STEPS steps;
the run `names` has NAMES metrics of one point.
"""

from __future__ import annotations

from pathlib import Path

from bench.merges import settle
from stepline._core import siphash64
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store

SIZES = {"1M": 1_000_000, "10M": 10_000_000, "100M": 100_000_000}
SMALL = 100_000
"""Points of the series that peers are compared with."""
SERIES, SERIES_STEPS = 100, 100_000
RANKS, RANK_STEPS = 1_024, 10_000
NAMES = 100_000
SPIKE = 1e6
"""The value of one point more of each series of SIZES, at a third of its steps."""
METRIC = "loss"
PIECE = 5_000_000

_CURVE = "2 / (1 + {step} / 1e4) + toFloat32(randNormal(0, 0.05))"
_FILL = (
    "INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, received) "
    "SELECT {run}, {metric}, {rank}, 1, {step}, "
    "fromUnixTimestamp64Milli(1790000000000 + number), "
    f"{_CURVE}, "
    "1, number + 1, toDateTime(1790000000) FROM numbers({first}, {count})"
)


def runs(sizes: dict[str, int]) -> list[str]:
    return [*sizes, "small", "series", "ranks", "names"]


def build(data: Path, sizes: dict[str, int]) -> None:
    """Fills a new store, and waits until it is merged and every rollup is there."""
    store = open_store(None, data)
    try:
        for run in runs(sizes):
            _register(store, run)
        for name, steps in {**sizes, "small": SMALL}.items():
            _fill(store, name, steps, str(siphash64(METRIC)), "0", "toInt64(number)")
        for name, steps in sizes.items():
            fill = _FILL.replace(_CURVE, str(SPIKE))
            names = {"run": siphash64(name), "metric": siphash64(METRIC), "rank": "0"}
            store.command(fill.format(**names, step=f"toInt64({steps // 3})", first=steps, count=1))
        many = [siphash64(f"many/{i}") for i in range(SERIES)]
        metric = f"arrayElement({many}, number % {SERIES} + 1)"
        step = f"toInt64(intDiv(number, {SERIES}))"
        _fill(store, "series", SERIES * SERIES_STEPS, metric, "0", step)
        rank, step = f"number % {RANKS}", f"toInt64(intDiv(number, {RANKS}))"
        _fill(store, "ranks", RANKS * RANK_STEPS, str(siphash64(METRIC)), rank, step)
        _fill(
            store, "names", NAMES, "sipHash64(concat('layer/', toString(number)))", "0", "0::Int64"
        )
        settle(store)
        build_rollups(store)
        settle(store)
    finally:
        store.close()


def _register(store: Store, run_id: str) -> None:
    run = siphash64(run_id)
    store.insert_rows(
        "raw_runs",
        ("run", "run_id", "project", "name", "config", "summary", "tags", "state", "version"),
        [(run, run_id, "bench", run_id, "{}", "{}", [], "finished", 1)],
    )
    store.insert_rows(
        "raw_attempts",
        ("run", "attempt", "launch_id", "world_size", "version"),
        [(run, 1, "bench", 1, 1)],
    )
    names = {
        "series": [f"many/{i}" for i in range(SERIES)],
        "names": [f"layer/{i}" for i in range(NAMES)],
    }.get(run_id, [METRIC])
    store.insert_rows(
        "raw_metrics",
        ("run", "metric", "name", "first_seen"),
        [(run, siphash64(name), name, 0) for name in names],
    )


def _fill(store: Store, run_id: str, points: int, metric: str, rank: str, step: str) -> None:
    for first in range(0, points, PIECE):
        store.command(
            _FILL.format(
                run=siphash64(run_id),
                metric=metric,
                rank=rank,
                step=step,
                first=first,
                count=min(PIECE, points - first),
            )
        )
