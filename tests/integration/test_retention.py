"""Promise: points of an old month expire in a service that runs, and everything that people see
goes on: charts, statistics, exactly once, and a word about what is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import stepline
from stepline_ingest.store import open_store
from tests.support.service import Service

DAY = 86_400


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepline.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def age(data: Path) -> None:
    """Everything that is stored was received in January."""
    store = open_store(None, data)
    columns = "run, metric, rank, attempt, step, time, value, writer, seq"
    store.command("CREATE TABLE moved AS raw_points")
    store.command(
        f"INSERT INTO moved ({columns}, received) SELECT {columns}, toDateTime(1767700000, 'UTC') "
        "FROM raw_points"
    )
    store.command("ALTER TABLE raw_points DELETE WHERE 1", {"mutations_sync": 1})
    store.command("ALTER TABLE moved MOVE PARTITION ID '202601' TO TABLE raw_points")
    store.command("DROP TABLE moved")
    store.close()


def test_a_run_lives_on_when_its_points_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLINE_DIR", str(tmp_path / "spools"))
    data = tmp_path / "data"
    with Service(data, "--no-sync") as service:
        run = stepline.init(project="p", server=service.grpc, run_id="old")
        for step in range(1_000):
            run.log({"loss": 1 / (step + 1)}, step=step)
        run.finish()
        client = stepline.connect(service.grpc)
        before = client.run("old").chart("loss", points=4)
        service.terminate()
        age(data)

        dry = command("expire", "--data", data, "--keep-points", "1d", "--dry-run", "--json")
        assert [row["state"] for row in json.loads(dry.stdout)] == ["would expire"]
        done = command("expire", "--data", data, "--keep-points", "1d")
        assert (done.returncode, done.stderr) == (0, "")
        assert "expired" in done.stdout
        doctor = command("doctor", "--data", data)
        assert doctor.returncode == 0, doctor.stdout
        assert "1,000 points expired" in doctor.stdout

        service.start()
        client = stepline.connect(service.grpc)
        view = client.run("old")
        after = view.chart("loss", points=4)
        for name in ("x", "min", "max", "mean", "first", "last", "count"):
            assert getattr(after, name).tolist() == getattr(before, name).tolist(), name
        (metric,) = view.metrics()
        assert (metric.count, metric.min, metric.max) == (1_000, 1 / 1_000, 1.0)
        with pytest.warns(stepline.ExpiredPointsWarning, match="1,000 points of loss"):
            history = view.history("loss")
        assert (len(history), history.expired[0].last_step) == (0, 999)
        points = view.points()
        with pytest.warns(stepline.ExpiredPointsWarning):
            assert list(points) == []
        assert points.expired == history.expired
        said = command("history", "old", "loss", "--server", service.grpc)
        assert "1,000 points of loss" in said.stderr
        verified = command("verify", "--run", "old", "--server", service.grpc, "--json")
        (verdict,) = json.loads(verified.stdout)
        assert (verdict["expired"], verdict["lost"], verdict["differences"]) == (1_000, [], [])
        listed = command("expire", "--server", service.grpc, "--dry-run", "--json")
        assert [row["state"] for row in json.loads(listed.stdout)] == ["expired"]
        assert command("expire", "--server", service.grpc).returncode == 1

        run = stepline.init(project="p", server=service.grpc, run_id="old", resume="must")
        for step in range(1_000, 1_100):
            run.log({"loss": 1.0}, step=step)
        run.finish()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert view.history("loss").step.tolist() == list(range(1_000, 1_100))
        assert view.metrics()[0].count == 1_100
