"""Rounds and seeds of the fault tests: short inside `make test`, long in `make test-fault`."""

from __future__ import annotations

import os
import random

import pytest

ROUNDS = int(os.environ.get("STEPLINE_FAULT_ROUNDS", "20"))


@pytest.fixture
def seed() -> int:
    """Printed with a failing test; STEPLINE_FAULT_SEED replays it."""
    chosen = int(os.environ.get("STEPLINE_FAULT_SEED", random.randrange(2**32)))
    print(f"STEPLINE_FAULT_SEED={chosen}")
    return chosen


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)
