"""How fast every point comes out: `view.points()` against the engine writing the same Arrow stream.

    python -m bench.export [--json]

100 series of 100,000 steps lie in a fresh embedded store. "engine" is one query in this process
whose ArrowStream of the same columns and order is read chunk by chunk and dropped; "service" reads
a service in a process of its own through gRPC into NumPy batches, "arrow" also turns them into
Arrow tables. Each takes its turn in every round; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stepline
from bench.chart import RUN, SERIES, SERIES_STEPS, fill_many
from bench.merges import settle
from stepline._core import siphash64
from stepline_ingest.store import open_store
from tests.support.service import Service

ROUNDS = 5
POINTS = SERIES * SERIES_STEPS
_ENGINE = (
    "SELECT metric, rank, attempt, step, time, value FROM raw_points WHERE run = {run:UInt64} "
    "ORDER BY run, metric, rank, attempt, step, writer, seq"
)
_SETTINGS = {"max_threads": 1, "optimize_read_in_order": 1, "optimize_use_projections": 0}


def prepare(data: Path) -> None:
    """A store with one run, as a service would have written it."""
    store = open_store(None, data)
    try:
        fill_many(store, "many", SERIES_STEPS)
        settle(store)
        run = siphash64(RUN)
        names = [(run, siphash64(f"many/{i}"), f"many/{i}", 0) for i in range(SERIES)]
        store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), names)
        store.insert_rows(
            "raw_runs",
            ("run", "run_id", "project", "name", "config", "summary", "tags", "state", "version"),
            [(run, RUN, "bench", RUN, "{}", "{}", [], "finished", 1)],
        )
        store.insert_rows(
            "raw_attempts",
            ("run", "attempt", "launch_id", "world_size", "version"),
            [(run, 1, "bench", 1, 1)],
        )
    finally:
        store.close()


def engine(data: Path) -> list[float]:
    store: Any = open_store(None, data)
    taken = []
    try:
        for _ in range(ROUNDS + 1):
            start = time.perf_counter()
            with store._pool.connection() as connection:
                clause = ", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())
                stream = connection.send_query(
                    f"{_ENGINE} SETTINGS {clause}", "ArrowStream", {"run": str(siphash64(RUN))}
                )
                size = sum(len(chunk.bytes()) for chunk in stream)
            taken.append(time.perf_counter() - start)
            assert size > 8 * POINTS
    finally:
        store.close()
    return taken[1:]


def client(data: Path) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"service": [], "arrow": []}
    with Service(data) as service, stepline.connect(service.grpc) as connected:
        points = connected.run(RUN).points()
        ways: dict[str, Callable[[Any], int]] = {
            "service": len,
            "arrow": lambda batch: int(batch.to_arrow().num_rows),
        }
        for number in range(ROUNDS + 1):
            for name, way in ways.items():
                start = time.perf_counter()
                assert sum(way(batch) for batch in points) == POINTS
                if number:
                    taken[name].append(time.perf_counter() - start)
    return taken


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv if argv is not None else [])
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        data = Path(directory) / "data"
        prepare(data)
        # One directory has one owner: before and after the service, so that both see the same
        # machine.
        before = engine(data)
        taken = client(data)
        taken["engine"] = before + engine(data)
    base = statistics.median(taken["engine"])
    rows = {
        name: {
            "points_per_second": POINTS / statistics.median(times),
            "against_engine": base / statistics.median(times),
        }
        for name, times in taken.items()
    }
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    for name in ("engine", "service", "arrow"):
        row = rows[name]
        print(
            f"{name:8s} {row['points_per_second'] / 1e6:7.2f} M points/s"
            f" {row['against_engine']:6.2f}"
        )
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
