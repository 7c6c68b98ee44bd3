"""Aim with a local repository: `Run.track` with a dict. Read back with `Run.metrics` after `aim
storage reindex`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


class Tracker:
    def __init__(self, folder: str) -> None:
        from aim import Repo, Run

        Repo.from_path(folder, init=True)
        # No statistics of the machine, no capture of the console: only metrics.
        self._run = Run(
            repo=folder,
            experiment="peers",
            system_tracking_interval=None,
            log_system_params=False,
            capture_terminal_logs=False,
        )
        self._track: Any = self._run.track

    def log(self, metrics: dict[str, float], step: int) -> None:
        self._track(metrics, None, step)

    def finish(self) -> None:
        self._run.close()


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    from aim import Repo, Run

    if not Path(folder, ".aim").exists():
        return 0
    # Reading goes by an index that Aim's user interface keeps; nobody has built it yet.
    command = [str(Path(sys.executable).with_name("aim")), "storage", "--repo", folder]
    subprocess.run([*command, "reindex", "--yes"], check=True, capture_output=True)
    repo = Repo.from_path(folder)
    runs = [Run(name, repo=repo, read_only=True) for name in repo.list_all_runs()]
    return sum(len(metric.values.sparse_numpy()[0]) for run in runs for metric in run.metrics())
