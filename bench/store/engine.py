"""A store with another `raw_points` than the released one, and what it costs."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stepline_ingest.schema import migrations, tiers
from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.params import Param, Setting


def table(
    *, projections: str | None = None, on_insert: bool = False, metric: str = "UInt64"
) -> str:
    """CREATE TABLE of raw_points with other projections (none: ""), built at another time, or with
    names as metrics."""
    ddl = migrations()[0].statements()[0].replace("${replicated}", "")
    if projections is not None:
        without = ddl.replace(",\n\n" + tiers.projection_ddl(), "")
        assert without != ddl
        ddl = without if not projections else ddl.replace(tiers.projection_ddl(), projections)
    if on_insert:
        ddl = ddl.replace(
            "materialize_projections_on_insert = 0", "materialize_projections_on_insert = 1"
        )
    return ddl.replace("metric UInt64", f"metric {metric}")


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds of the inserts, and until merges are quiet and all rollups are built;
    seconds that the inserts took; bytes a point."""

    insert_cpu: float
    settled_cpu: float
    wall: float
    bytes_per_point: float


@contextmanager
def opened(ddl: str) -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        store = EmbeddedStore(Path(directory))
        try:
            store.command(ddl)
            yield store
        finally:
            store.close()


def fill(store: EmbeddedStore, blocks: Sequence[bytes], rows: int) -> Cost:
    """Inserts BLOCKS of ROWS points and waits until nothing merges; the bytes are those after a
    last full merge."""
    cpu, begin = _cpu(), time.perf_counter()
    for number, block in enumerate(blocks):
        store.insert_points([block], rows=rows, token=str(number))
    wall, insert_cpu = time.perf_counter() - begin, _cpu() - cpu
    quiet = 0
    while quiet < 4:
        time.sleep(0.15)
        quiet = quiet + 1 if store.query("SELECT count() FROM system.merges") == [(0,)] else 0
    _build_missing(store)
    settled_cpu = _cpu() - cpu
    store.command("OPTIMIZE TABLE raw_points FINAL")
    found = store.query(
        "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts "
        "WHERE table = 'raw_points' AND active"
    )
    size, points = (int(str(number)) for number in found[0])
    return Cost(insert_cpu, settled_cpu, wall, size / points)


def _build_missing(store: EmbeddedStore) -> None:
    """What upkeep does in a service."""
    found = store.query("SELECT name FROM system.projections WHERE table = 'raw_points'")
    steps = ", ".join(f"MATERIALIZE PROJECTION {name}" for (name,) in found)
    if steps:
        store.command(f"ALTER TABLE raw_points {steps}", {"mutations_sync": 1})


def milliseconds(
    store: EmbeddedStore,
    sql: str,
    params: dict[str, Param] | None = None,
    settings: dict[str, Setting] | None = None,
    *,
    repeats: int = 15,
) -> float:
    """The median."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        store.query_raw(sql, "Native", params, settings, readonly=False)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times[1:])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
