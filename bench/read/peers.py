"""Other trackers, each in its environment of `loadtest/peers`."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from loadtest.peers.catalog import CONTENDERS
from loadtest.peers.environments import CannotInstall, package_of, python_of, version_of

from .stores import SMALL

PEERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "trackio": "trackio", "aim": "Aim"}
WRITE_SECONDS = 45.0
_PATIENCE = 240.0


def measure(root: Path) -> dict[str, dict[str, Any]]:
    """By the name of the peer: version, points and seconds of reading them, or the error."""
    return {name: _one(name, root) for name in PEERS}


def _one(name: str, root: Path) -> dict[str, Any]:
    try:
        python = python_of(name)
    except CannotInstall as error:
        return {"error": str(error)}
    variables = next(c.variables for c in CONTENDERS if c.environment == name)
    child = Path(__file__).with_name("peer_child.py")
    with tempfile.TemporaryDirectory(dir=root) as folder:
        command = [str(python), str(child), name, folder, str(SMALL), str(WRITE_SECONDS)]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **variables, "HOME": folder},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {_PATIENCE:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"version": version_of(python, package_of(name)), **found}
