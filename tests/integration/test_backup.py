"""A backup is taken while points arrive, and a service that comes back from it is honest about what
came after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import stepline
from stepline.cli import main
from tests.support.processes import wait_drained
from tests.support.service import Service

BULK = 700_000
"""Points of an array that fills a segment of the spool."""


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Service]:
    def start(name: str, grpc_port: int = 0) -> Service:
        backups = str(tmp_path / "backups")
        return Service(tmp_path / name, "--backup-dir", backups, grpc_port=grpc_port)

    return start


def count(client: stepline.Client, sql: str) -> int:
    return int(client.sql(sql).rows[0][0])


def test_the_service_runs_on(
    serve: Callable[..., Service], tmp_path: Path, spools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenario: a backup while a run logs; the service is lost and comes back from the backup while
    the trainer goes on. Guarantees: the backup shows a prefix of each writer, and what the spool
    still has is sent again: nothing is missing, nothing is there twice."""
    with serve("data") as service:
        port = int(service.grpc.rsplit(":", 1)[1])
        run = stepline.init(project="p", run_id="goes-on", server=service.grpc, dir=spools)
        stop, step = threading.Event(), 0

        def back_up() -> None:
            assert main(["backup", "one", "--server", service.grpc]) == 0
            assert main(["backup", "two", "--server", service.grpc, "--base", "one"]) == 0
            stop.set()

        other = threading.Thread(target=back_up)
        other.start()
        while not stop.wait(0.001):
            run.log({"a": step, "b": -step}, step=step)
            step += 1
        other.join()
        wait_drained(spools)
        service.kill()
    assert "as of" in capsys.readouterr().out
    assert (
        main(["restore", str(tmp_path / "backups" / "two"), "--data", str(tmp_path / "new")]) == 0
    )
    assert main(["doctor", "--data", str(tmp_path / "new")]) == 0
    with serve("new", port) as service, stepline.connect(service.grpc) as client:
        ledger = client.sql("SELECT count(DISTINCT seq), max(seq) FROM raw_points").rows
        assert ledger[0][0] == ledger[0][1]
        for more in range(step, step + 100):
            run.log({"a": more, "b": -more}, step=more)
        report = run.finish()
        assert report.left == 0
        found = client.run("goes-on").history("a")
        assert found.step.tolist() == list(range(step + 100))


def test_what_nobody_has_any_more_is_a_gap(
    serve: Callable[..., Service], tmp_path: Path, spools: Path
) -> None:
    """Scenario: the spool was freed after the backup, as all of it was acknowledged; then the
    service comes back from that backup. Guarantee: the points that are lost are recorded as a gap,
    and what comes after is stored."""
    with serve("data") as service:
        port = int(service.grpc.rsplit(":", 1)[1])
        run = stepline.init(project="p", run_id="gap", server=service.grpc, dir=spools)
        run.log({"a": 0.0}, step=0)
        wait_drained(spools)
        assert main(["backup", "one", "--server", service.grpc]) == 0
        steps = np.arange(BULK, dtype=np.int64)
        for _ in range(2):
            run.log_array("bulk", steps, steps.astype(np.float64))
        run.log({"a": 1.0}, step=1)
        wait_drained(spools)
        service.kill()
    assert (
        main(["restore", str(tmp_path / "backups" / "one"), "--data", str(tmp_path / "new")]) == 0
    )
    with serve("new", port) as service, stepline.connect(service.grpc) as client:
        run.log({"a": 2.0}, step=2)
        run.finish()
        stored = count(client, "SELECT count() FROM raw_points")
        lost = client.sql(
            "SELECT first_seq, last_seq, reason FROM raw_rejects ORDER BY first_seq"
        ).rows
        assert [reason for _, _, reason in lost] == [lost[0][2]]
        assert "lost before upload" in lost[0][2]
        assert stored + lost[0][1] - lost[0][0] + 1 == 2 * BULK + 3
        assert client.run("gap").history("a").value.tolist()[-1] == 2.0
    assert main(["doctor", "--data", str(tmp_path / "new")]) == 0


def test_refusals(
    tmp_path: Path, serve: Callable[..., Service], capsys: pytest.CaptureFixture
) -> None:
    def said(*arguments: str) -> str:
        assert main(list(arguments)) == 1
        return capsys.readouterr().err

    with serve("data") as service:
        data = str(tmp_path / "data")
        assert "stepline backup --server" in said("backup", str(tmp_path / "b"), "--data", data)
        assert "characters" in said("backup", "../x", "--server", service.grpc)
        assert "no complete backup" in said("backup", "b", "--server", service.grpc, "--base", "x")
        backups = tmp_path / "backups"
        backups.rename(tmp_path / "elsewhere")
        backups.touch()
        taken = said("backup", "b", "--server", service.grpc)
        assert f"The folder {backups} takes no backups (it is no folder)" in taken
    assert "no data directory" in said("backup", str(tmp_path / "b"), "--data", str(tmp_path))
    assert main(["backup", str(tmp_path / "b"), "--data", data]) == 0
    assert "is there already" in said("backup", str(tmp_path / "b"), "--data", data)
    assert "is there already" in said("restore", str(tmp_path / "b"), "--data", data)
    assert "no complete backup" in said("restore", str(tmp_path), "--data", str(tmp_path / "n"))
    with Service(tmp_path / "plain") as service:
        assert "--backup-dir" in said("backup", "b", "--server", service.grpc)
