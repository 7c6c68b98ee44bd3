"""Real Ray Train: all workers of a training function are one run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT

from .conftest import Launched, launcher_environment, other_python

pytestmark = pytest.mark.ray


def test_the_workers_are_one_run_with_one_attempt(launched: Launched) -> None:
    python = other_python("STEPLINE_RAY_PYTHON")
    found, again = (launch(launched, python, f"out-{n}") for n in range(2))
    assert [(one["attempt"], one["rank"], one["local_rank"]) for one in found] == [
        (1, 0, 0),
        (1, 1, 1),
    ]
    assert (len({one["run"] for one in found}), len({one["run"] for one in [*found, *again]})) == (
        1,
        2,
    )


def test_workers_that_are_started_anew_are_the_next_attempt(launched: Launched) -> None:
    found = launch(launched, other_python("STEPLINE_RAY_PYTHON"), "out", resume="auto", crash="1")
    assert len({one["run"] for one in found}) == 1
    assert [(one["attempt"], one["rank"]) for one in found][-2:] == [(2, 0), (2, 1)]


def launch(launched: Launched, python: str, out: str, **options: str) -> list[dict[str, Any]]:
    folder = launched.folder / out
    folder.mkdir()
    words = [launched.service.grpc, str(launched.folder / "spools"), str(folder)]
    words += [word for name, value in options.items() for word in (f"--{name}", value)]
    script = Path(__file__).with_name("ray_job.py")
    environment = {
        **launcher_environment(),
        "RAY_TRAIN_V2_ENABLED": "1",
        "RAY_AUTH_MODE": "disabled",
        # Of its own accord Ray gives way to everything else on a busy machine.
        "RAY_worker_niceness": "0",
    }
    environment["PYTHONPATH"] += f":{ROOT}"
    done = subprocess.run(
        [python, str(script), *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: (one["attempt"], one["rank"]))
