"""SIGKILL while a month of points is replaced by its rollups.

Scenario: the process is killed behind a statement of each kind; the next one opens the store.
Guarantees: nothing is lost, nothing counts twice, the mark of the writer stays; the month has gone
as a whole or not at all, and where it had not, it goes at the next try.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from stepline_ingest.doctor import audit
from stepline_ingest.retention import expire
from stepline_ingest.store import open_store
from tests.support.old_points import JANUARY, Old, states

LONG = os.environ.get("STEPLINE_RETENTION_KILLS") == "all"
KILLS = (
    *([("INSERT INTO raw_cells", "stored")] if LONG else []),
    ("INSERT INTO raw_marks", "stored"),
    ("INSERT INTO raw_expiry SELECT {fill}, 202601, 'filled'", "expired"),
    *([("ALTER TABLE raw_points DROP PARTITION", "expired")] if LONG else []),
)
"""The last statement of a process; STEPLINE_RETENTION_KILLS=all for those of all kinds."""
COUNTED = "SELECT sum(count) FROM series"
MARK = (
    "SELECT max(s) FROM (SELECT max(seq) AS s FROM raw_points "
    "UNION ALL SELECT max(last_seq) FROM raw_marks)"
)


def test_killed_behind_each_statement(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sample, last, count = Old(), 200, 500
    store = open_store(None, data)
    sample.build(store)
    store.close()
    for number, (statement, state) in enumerate(KILLS, start=1):
        begins = statement.format(fill=number)
        died = subprocess.run(
            [sys.executable, "-m", "tests.support.expiring", str(data), "202601", begins],
            check=False,
        )
        assert died.returncode == -signal.SIGKILL
        store = open_store(None, data)
        said = store.query(COUNTED), store.query(MARK), states(store)[0], audit(store).findings
        # Points of a clock that was set back.
        late = sample.points([last + 1])
        sample.insert(store, [replace(p, received=JANUARY) for p in late], f"late{last}")
        store.close()
        assert said == ([(count,)], [(last,)], (202601, state), []), begins
        last, count = last + 1, count + 2
    store = open_store(None, data)
    gone, counted = expire(store, 202601), store.query(COUNTED)
    store.close()
    assert (gone, counted) == (2, [(count,)])
