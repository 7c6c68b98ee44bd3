"""A deleted run is gone, stays gone, and its writers are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stepline
from stepline import _core
from stepline.cli import main
from tests.support.processes import ROOT, stop_uploaders, wait_drained, wait_until
from tests.support.service import Service


def count(client: stepline.Client, sql: str) -> int:
    return int(client.sql(sql).rows[0][0])


def test_a_run_is_deleted_while_it_logs(
    tmp_path: Path, spools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenario: two runs log; one is deleted; the service is killed at once and comes back.
    Guarantees: the other run is untouched, nothing of the deleted one is left or comes back, its
    spool is set aside, its id stays taken, the doctor finds nothing wrong."""
    with Service(tmp_path / "data") as service:
        options = {"project": "p", "server": service.grpc, "dir": spools}
        doomed = stepline.init(run_id="doomed", **options)
        kept = stepline.init(run_id="kept", **options)
        for step in range(1_000):
            doomed.log({"a": step}, step=step)
            kept.log({"a": step}, step=step)
        wait_drained(spools)
        assert main(["delete", "doomed", "--server", service.grpc]) == 1, "nobody was asked"
        assert main(["delete", "doomed", "--server", service.grpc, "--yes"]) == 0
        service.kill()
        service.start()
        doomed.log({"a": 1.0}, step=1_000)
        kept.log({"a": 1_000}, step=1_000)
        with stepline.connect(service.grpc) as client:
            wait_until(
                lambda: count(client, "SELECT count() FROM raw_points") == 1_001,
                what="only the points of the other run are there",
            )
            with pytest.raises(stepline.RunNotFound):
                client.run("doomed")
            assert [info.id for info in client.runs()] == ["kept"]
            with pytest.raises(stepline.SteplineError, match="was deleted"):
                stepline.init(
                    run_id="doomed", resume="allow", on_error="raise", mode="online", **options
                )
            wait_until(lambda: "was deleted" in errors(spools), what="the uploader is told")
            assert doomed.finish(timeout=60).left > 0
            assert kept.finish().left == 0
            assert count(client, "SELECT count() FROM raw_points") == 1_001
            assert client.run("kept").chart("a").count.sum() == 1_001
        stop_uploaders(spools)
    audit = [sys.executable, "-m", "stepline.cli", "doctor", "--data", str(tmp_path / "data")]
    done = subprocess.run(audit, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def errors(spools: Path) -> str:
    return " ".join(spool["error"] for spool in _core.spool_scan(str(spools)))
