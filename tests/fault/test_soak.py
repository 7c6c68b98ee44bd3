"""The short version of the soak run: see tests/fault/soak.py for scenario and guarantees."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fault.soak import soak_round
from tests.support.processes import stop_uploaders
from tests.support.service import Service


def test_two_rounds_of_everything_at_once(tmp_path: Path, chance: random.Random) -> None:
    spools = tmp_path / "spools"
    with Service(tmp_path / "store") as service:
        for number in range(2):
            soak_round(service, spools, f"soak-{number}", chance)
        stop_uploaders(spools)
