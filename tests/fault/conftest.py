"""Rounds and seeds of the fault tests: short inside `make test`, long in `make test-fault`."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.stage import ROUNDS, Stage
from tests.support.processes import stop_uploaders


def pytest_exception_interact(report: pytest.CollectReport | pytest.TestReport) -> None:
    """A run of hours says at once what has failed: whoever ends it would never know."""
    if ROUNDS:
        sys.stderr.write(f"\n{report.nodeid}\n{report.longreprtext}\n")
        for title, said in report.sections:
            sys.stderr.write(f"--- {title}\n{said}\n")
        sys.stderr.flush()


@pytest.fixture
def seed() -> int:
    """Printed with a failing test; STEPLINE_FAULT_SEED replays it."""
    chosen = int(os.environ.get("STEPLINE_FAULT_SEED", random.randrange(2**32)))
    print(f"STEPLINE_FAULT_SEED={chosen}")
    return chosen


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture(scope="session")
def one_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("fault")) as stage:
        yield stage


@pytest.fixture
def stage(one_stage: Stage) -> Iterator[Stage]:
    """The service and the store that the rounds of all tests share, in good weather."""
    one_stage.clear_up()
    yield one_stage
    stop_uploaders(one_stage.spools)


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spools"
    stop_uploaders(tmp_path / "spools")
