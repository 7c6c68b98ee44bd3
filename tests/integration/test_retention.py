"""Promise: points of an old month expire in a service that runs, and everything that people see
goes on: charts, statistics, exactly once, and a word about what is gone.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import stepline
from stepline.cli import main
from tests.support.old_points import age
from tests.support.service import Service


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line; gives its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def test_a_run_lives_on_when_its_points_expire(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
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

        _, dry, _ = command("expire", "--data", data, "--keep-points", "1d", "--dry-run", "--json")
        assert [row["state"] for row in json.loads(dry)] == ["would expire"]
        code, done, error = command("expire", "--data", data, "--keep-points", "1d")
        assert (code, error) == (0, "")
        assert "expired" in done
        code, said, _ = command("doctor", "--data", data)
        assert code == 0, said
        assert "1,000 points expired" in said

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
        _, _, said = command("history", "old", "loss", "--server", service.grpc)
        assert "1,000 points of loss" in said
        _, verified, _ = command("verify", "--run", "old", "--server", service.grpc, "--json")
        (verdict,) = json.loads(verified)
        assert (verdict["expired"], verdict["lost"], verdict["differences"]) == (1_000, [], [])
        _, listed, _ = command("expire", "--server", service.grpc, "--dry-run", "--json")
        assert [row["state"] for row in json.loads(listed)] == ["expired"]
        assert command("expire", "--server", service.grpc)[0] == 1

        run = stepline.init(project="p", server=service.grpc, run_id="old", resume="must")
        for step in range(1_000, 1_100):
            run.log({"loss": 1.0}, step=step)
        run.finish()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert view.history("loss").step.tolist() == list(range(1_000, 1_100))
        assert view.metrics()[0].count == 1_100
