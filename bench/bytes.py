"""Bytes a value, on the wire and on disk.

On the wire: `rust/core/examples/batch_cost` encodes known generators and compares with their
entropy and with byte shuffle + zstd 1. On disk: METRICS series of float32 noise, STEPS steps,
through the whole chain into the embedded store; what the table's files hold after all merges,
rollups apart.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

import stepline
from bench.merges import settle
from stepline_ingest.store import open_store
from tests.support.processes import ROOT, stop_uploaders
from tests.support.service import Service

METRICS, STEPS = 100, 40_000

_COLUMNS = """
SELECT column, sum(column_data_compressed_bytes)
FROM system.parts_columns WHERE table = 'raw_points' AND active AND database = currentDatabase()
GROUP BY column ORDER BY 2 DESC
"""
_PROJECTIONS = """
SELECT sum(bytes_on_disk) FROM system.projection_parts
WHERE table = 'raw_points' AND active AND database = currentDatabase()
"""


def wire() -> None:
    command = ["cargo", "run", "--quiet", "--release", "-p", "stepline-core"]
    subprocess.run([*command, "--example", "batch_cost"], cwd=ROOT, check=True)


def fill(folder: Path) -> None:
    spools = folder / "spools"
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(STEPS, METRICS)).astype(np.float32)
    names = [f"layer/{index:03d}/norm" for index in range(METRICS)]
    with Service(folder / "store") as service:
        with stepline.init(project="bench", server=service.grpc, dir=spools) as run:
            for step in range(STEPS):
                run.log(dict(zip(names, noise[step].tolist(), strict=True)), step=step)
        stop_uploaders(spools)


def disk() -> None:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as name:
        folder = Path(name)
        fill(folder)
        store = open_store(None, folder / "store")
        settle(store)
        store.command("OPTIMIZE TABLE raw_points FINAL")
        rows = METRICS * STEPS
        columns = {str(name): int(str(size)) / rows for name, size in store.query(_COLUMNS)}
        rollups = int(str(store.query(_PROJECTIONS)[0][0])) / rows
        store.close()
    total = sum(columns.values())
    print(f"on disk, {METRICS} series of float32 noise x {STEPS:,} steps, after all merges")
    largest = ", ".join(f"{name} {size:.2f}" for name, size in list(columns.items())[:4])
    print(f"  points   {total:.2f} B a value ({largest})")
    print(f"  rollups  {rollups:.2f} B a value")
    print(
        f"  together {total + rollups:.2f} B = {(total + rollups) / 16:.2f} x step and value as "
        "they are"
    )


def main() -> None:
    wire()
    disk()


if __name__ == "__main__":
    main()
