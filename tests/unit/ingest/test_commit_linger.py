"""How long a group waits: shortly when alone, longer under load, never beyond its bounds."""

from __future__ import annotations

from stepline_ingest.limits import Limits
from stepline_ingest.linger import Linger

LIMITS = Limits()


def test_an_idle_service_answers_soon() -> None:
    linger = Linger(LIMITS)
    assert linger.window == LIMITS.min_linger
    for _ in range(100):
        linger.observe(arrived_meanwhile=False)
    assert linger.window == LIMITS.min_linger
    assert linger.quiet == LIMITS.min_linger


def test_load_makes_it_patient_and_silence_quick_again() -> None:
    linger = Linger(LIMITS)
    for _ in range(100):
        linger.observe(arrived_meanwhile=True)
    assert linger.window == LIMITS.max_linger
    assert LIMITS.min_linger < linger.quiet < linger.window
    for _ in range(100):
        linger.observe(arrived_meanwhile=False)
    assert linger.window == LIMITS.min_linger
