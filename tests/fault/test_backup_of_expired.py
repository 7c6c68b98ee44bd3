"""A backup of a store whose older points have expired.

Scenario: half of a run has expired, the other half is stored as it was logged; a backup is taken
while the run goes on, the service is lost, and another one serves the backup on the same address.
Then everything is sent once more from a copy of the spool.
Guarantees: charts, statistics, marks, what `verify` says of the run and what `doctor` says of the
store are what they were. What was stored since the backup is sent again once, what had expired or
was in the backup is not, and the run goes on.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline import _core
from stepline.cli import main
from tests.fault.stage import ROUNDS
from tests.support.old_points import age
from tests.support.processes import stop_uploaders, wait_drained
from tests.support.service import Service

pytestmark = pytest.mark.skipif(not ROUNDS, reason="opens eight engines: make test-fault")
HALF = 1_000
COLUMNS = ("x", "min", "max", "mean", "first", "last", "count")
MARKS = """
SELECT toString(writer) AS name, max(last) FROM (
    SELECT writer, seq AS last FROM raw_points
    UNION ALL SELECT writer, last_seq AS last FROM raw_rejects
    UNION ALL SELECT writer, last_seq AS last FROM raw_marked
) GROUP BY name ORDER BY name
"""


def said(service: Service, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What people see of the run."""
    capsys.readouterr()
    main(["verify", "--run", "old", "--server", service.grpc, "--json"])
    (verdict,) = json.loads(capsys.readouterr().out)
    with stepline.connect(service.grpc) as client:
        view = client.run("old")
        chart = view.chart("loss", points=8)
        (metric,) = view.metrics()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stepline.ExpiredPointsWarning)
            history = view.history("loss")
        return {
            "chart": {name: getattr(chart, name).tolist() for name in COLUMNS},
            "metric": (metric.count, metric.min, metric.max, metric.last_step),
            "history": (history.step.tolist(), history.value.tolist()),
            "expired": [(gap.first_step, gap.last_step) for gap in history.expired],
            "verify": {name: verdict[name] for name in ("expired", "lost", "differences", "notes")},
            "marks": client.sql(MARKS).rows,
        }


def send(spools: Path, service: Service) -> None:
    _core.drain(str(spools), server=service.grpc, timeout=60)
    wait_drained(spools)


def audit(data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["doctor", "--data", str(data), "--json"])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (code, report["findings"]) == (0, [])
    return report


def test_what_has_expired_is_in_the_backup_and_stays_so(
    tmp_path: Path,
    spools: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STEPLINE_DIR", str(spools))
    data, restored = tmp_path / "data", tmp_path / "restored"
    backups = ("--backup-dir", str(tmp_path / "backups"))
    with Service(data, *backups) as first:
        port = int(first.grpc.rsplit(":", 1)[1])
        run = stepline.init(project="p", server=first.grpc, run_id="old")
        for step in range(HALF):
            run.log({"loss": 1 / (step + 1)}, step=step)
        wait_drained(spools)
        first.terminate()
        stop_uploaders(spools)  # it would wait longer and longer for the service
        age(data)
        assert main(["expire", "--data", str(data), "--keep-points", "1d"]) == 0
        first.start()
        for step in range(HALF, 2 * HALF):
            run.log({"loss": 1 / (step + 1)}, step=step)
        send(spools, first)
        before = said(first, capsys)
        assert before["expired"] == [(0, HALF - 1)]
        assert before["verify"]["expired"] == HALF
        assert main(["backup", "one", "--server", first.grpc]) == 0
        for step in range(2 * HALF, 2 * HALF + 100):
            run.log({"loss": 1 / (step + 1)}, step=step)
        send(spools, first)
        first.kill()
    stop_uploaders(spools)
    assert main(["restore", str(tmp_path / "backups" / "one"), "--data", str(restored)]) == 0
    report = audit(restored, capsys)
    assert (report["points"], report["expired"]) == (HALF, HALF)

    with Service(restored, *backups, grpc_port=port) as second:
        assert said(second, capsys) == before
        copy = shutil.copytree(spools, tmp_path / "copy")
        for step in range(2 * HALF + 100, 2 * HALF + 200):
            run.log({"loss": 1 / (step + 1)}, step=step)
        assert run.finish(timeout=60).complete
        assert _core.drain(str(copy), server=second.grpc, timeout=60) == []
        after = said(second, capsys)
        assert after["history"][0] == list(range(HALF, 2 * HALF + 200))
        assert after["metric"][0] == sum(after["chart"]["count"]) == 2 * HALF + 200
        assert after["expired"] == before["expired"]
    report = audit(restored, capsys)
    assert (report["points"], report["expired"]) == (HALF + 200, HALF)
