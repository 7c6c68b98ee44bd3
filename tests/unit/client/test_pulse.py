"""A service that stays out of reach is worth one warning; one that restarts is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepline import _core, notices, pulse
from stepline.delivery import NoDelivery
from stepline.pulse import Pulse
from stepline.writers import NullWriter


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        self.now += 5.0
        return self.now


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return []


def beat(monkeypatch: pytest.MonkeyPatch, states: list[str], said: list[str]) -> None:
    """A pulse for each state that the uploader reports, five seconds apart."""
    monkeypatch.setattr(pulse, "time", Clock())
    answers = iter(states)

    def brief(path: str) -> dict[str, Any]:
        return {"state": next(answers)}

    monkeypatch.setattr(_core, "spool_brief", brief)
    monkeypatch.setattr(_core, "spool_status", lambda path: {"error": "connection refused"})
    beating = Pulse(NoDelivery())
    beating.attach(NullWriter(), said.append)
    for _ in states:
        beating()


@pytest.mark.parametrize(
    ("states", "warnings"),
    [
        (["streaming"] * 5, 0),
        (["streaming", "unreachable", "streaming", "unreachable", "connecting"], 0),
        (["streaming", "unreachable", "unreachable"], 1),
        (["unreachable"] * 10, 1),
    ],
)
def test_it_takes_two_looks_to_warn_and_it_is_done_once(
    monkeypatch: pytest.MonkeyPatch, said: list[str], states: list[str], warnings: int
) -> None:
    beat(monkeypatch, states, said)
    assert said == ["connection refused"] * warnings


def test_the_warning_has_the_place_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    notices.unreachable("metrics:1", "r", Path("/spools of mine"), "connection refused")
    text = capsys.readouterr().err
    assert "It cannot be reached: connection refused." in text
    assert "no service at metrics:1" in text
    assert "stepline sync '/spools of mine' --server metrics:1" in text
    assert len({len(line) for line in text.splitlines()}) == 1, "a box"
