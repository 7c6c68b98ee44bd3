"""Scenario: the process is killed while it inserts, merges and builds rollups.

Guarantees: every block whose insert returned is stored whole, no block is stored in part, and the
rollups say what the points say.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepline_ingest.schema import tiers
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import open_store

ROWS = 200
INSERTS = """
import itertools, pathlib, sys
from stepline_ingest.schema import Upkeep
from stepline_ingest.store import open_store
from tests.support.points import block, line
store = open_store(None, pathlib.Path(sys.argv[1]))
Upkeep(store, interval=0.05, age=0)
for number in itertools.count(int(sys.argv[2])):
    data = block(line(range(int(sys.argv[3])), run=number))
    store.insert_points([data], rows=int(sys.argv[3]), token=f"block-{number}")
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, seed: int):
    rng = random.Random(seed)
    begin = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", INSERTS, str(tmp_path), str(begin), str(ROWS)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            acked = int(process.stdout.readline())
            time.sleep(rng.uniform(0.05, 0.8))
            process.send_signal(signal.SIGKILL)
            # A line that was cut off is no acknowledgement.
            acked = max([acked, *(int(row) for row in process.stdout if row.endswith("\n"))])
        store = open_store(None, tmp_path)
        found = dict(store.query("SELECT run, count() FROM raw_points GROUP BY run"))
        assert set(found.values()) == {ROWS}
        assert set(range(acked + 1)) <= set(found) <= set(range(acked + 2))
        check_rollups(store, sum(found.values()))
        build_rollups(store)
        check_rollups(store, sum(found.values()))
        store.close()
        begin = max(found) + 1


def check_rollups(store, points: int) -> None:
    names = (tiers.LEDGER, tiers.SERIES, *map(tiers.name, tiers.WIDTHS))
    keys = {
        tiers.LEDGER: "run, attempt, rank, writer",
        tiers.SERIES: "run, metric, rank, attempt",
        **{tiers.name(w): f"run, metric, rank, attempt, {tiers.cell(w)}" for w in tiers.WIDTHS},
    }
    for name in names:
        sql = f"SELECT sum(n) FROM (SELECT count() AS n FROM raw_points GROUP BY {keys[name]})"
        settings = {"preferred_optimize_projection_name": name}
        assert store.query(sql, settings=settings) == [(points,)], name
