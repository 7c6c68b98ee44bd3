"""The short version of the soak run: see tests/fault/soak.py for scenario and guarantees."""

from __future__ import annotations

import random
from collections import Counter

from tests.fault.soak import soak_round
from tests.fault.stage import Stage


def test_two_rounds_of_everything_at_once(stage: Stage, chance: random.Random) -> None:
    for _ in range(2):
        soak_round(stage, chance, Counter())
