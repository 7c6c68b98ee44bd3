"""The benchmark against peers, with the contenders that need no installation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.peers.catalog import choose
from loadtest.peers.trial import Bench, Failed, kill_trial, log_trial, read_back
from tests.support.service import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="process trees are read in /proc")


@pytest.fixture
def bench(service: Service, tmp_path: Path) -> Bench:
    return Bench(root=tmp_path, pythons={}, service=service.grpc, service_pid=service.pid)


@pytest.mark.parametrize("name", ["json", "stepline"])
def test_trial_counts_what_it_logged(bench: Bench, name: str) -> None:
    (contender,) = choose([name])
    folder = bench.root / f"{name}-log"
    measured = log_trial(bench, contender, folder, metrics=10, calls=50, seconds=30)
    assert measured.points == 500
    assert measured.cpu_seconds > 0
    assert read_back(bench, contender, folder) == 500


@pytest.mark.parametrize("kill", ["alone", "tree"])
def test_kill_trial_reads_back_what_survived(bench: Bench, kill: str) -> None:
    (contender,) = choose(["stepline_offline"])
    logged, stored = kill_trial(
        bench,
        contender,
        bench.root / f"kill-{kill}",
        kill=kill,
        metrics=10,
        calls=500,
        seconds=30,
    )
    assert logged == stored == 5_000


def test_what_does_not_run_says_why(bench: Bench) -> None:
    (contender,) = choose(["wandb"])
    broken = Bench(
        root=bench.root,
        pythons={"wandb": Path(sys.executable)},  # an environment without wandb
        service=bench.service,
        service_pid=bench.service_pid,
    )
    with pytest.raises(Failed, match="No module named 'wandb'"):
        log_trial(broken, contender, bench.root / "broken", metrics=1, calls=1, seconds=1)
