"""The short version of `tests.support.extension_fuzz`: foreign bytes through the extension."""

from __future__ import annotations

import random

from tests.support.extension_fuzz import fuzz


def test_only_core_errors_come_out_of_foreign_bytes() -> None:
    found = fuzz(random.Random(20260101), seconds=20, inputs=1_500)
    assert found["accepted"], "nothing got past the checks, so nothing behind them was tried"
    assert found["invalid"] + found["corrupt"] > found["accepted"]
