"""No test of the client sees what the shell, a launcher or another test left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepline import current

_LAUNCHERS = ("STEPLINE_", "SLURM_", "OMPI_", "PMIX_", "TORCHELASTIC_", "MASTER_", "GROUP_")
_NAMES = frozenset({"RANK", "WORLD_SIZE", "LOCAL_RANK"})


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is configured, and whatever is written by default lands in the test's folder."""
    for name in list(os.environ):
        if name in _NAMES or name.startswith(_LAUNCHERS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # These have tests of their own.
    monkeypatch.setenv("STEPLINE_CAPTURE", "none")
    monkeypatch.setenv("STEPLINE_SYSTEM_METRICS", "off")


@pytest.fixture(autouse=True)
def no_run_is_left() -> Iterator[None]:
    """A test that fails within a run does not make its successors fail."""
    yield
    for run in list(current._runs):
        run.finish(timeout=0)
