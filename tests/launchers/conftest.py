"""Real launchers, where they are: `make test-torch` makes an environment with torch, and
`make test-launchers` uses what is installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import stepline
from tests.support.processes import ROOT, stop_uploaders
from tests.support.service import Service

SCRIPT = ROOT / "tests" / "support" / "launched.py"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("store")) as running:
        yield running


@dataclass
class Launched:
    """Starts `launched.py` and collects what its processes wrote down."""

    service: Service
    folder: Path
    outs: list[Path] = field(default_factory=list)

    def job(self, *commands: list[str], **options: str) -> list[dict[str, Any]]:
        """Runs the COMMANDS (the agents of one job) side by side; what each start of each process
        found, by attempt and rank."""
        out = self.folder / f"out-{len(self.outs)}"
        out.mkdir()
        self.outs.append(out)
        words = [str(SCRIPT), self.service.grpc, str(self.folder / "spools"), str(out)]
        for name, value in options.items():
            words += [f"--{name}", value] if value else [f"--{name}"]
        processes = [
            subprocess.Popen(
                [*command, *words],
                env=launcher_environment(),
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for command in commands
        ]
        said = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * len(commands), said
        found = [json.loads(path.read_text()) for path in out.glob("*.json")]
        return sorted(found, key=lambda one: (one["attempt"], one["rank"]))

    def stored(self, run_id: str) -> set[tuple[int, int]]:
        """(attempt, rank) of the points that the service has."""
        with stepline.connect(self.service.grpc) as client:
            table = client.sql(f"SELECT attempt, rank FROM points WHERE run = '{run_id}'")
        return {(int(attempt), int(rank)) for attempt, rank in table.rows}


@pytest.fixture
def launched(service: Service, tmp_path: Path) -> Iterator[Launched]:
    yield Launched(service, tmp_path)
    stop_uploaders(tmp_path / "spools")


def launcher_environment() -> dict[str, str]:
    """With this source tree importable, and no launcher around."""
    names = ("STEPLINE_", "SLURM_", "OMPI_", "PMIX_", "TORCHELASTIC_", "MASTER_", "GROUP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**kept, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}


def other_python(variable: str) -> str:
    """The interpreter that VARIABLE names; skips the test without one."""
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no interpreter; `make test-torch` and `make test-ray` do")
    return python


def program(name: str) -> str:
    """Where NAME is installed; skips the test when it is not."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
