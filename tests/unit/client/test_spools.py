"""Waiting for a spool: as long as it takes, no longer than asked, and counted in points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stepline import _core, spools
from stepline.spools import Progress


class Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(spools, "time", fake)
    return fake


def status(acked: int, last: int = 10, state: str = "streaming") -> Any:
    return {"acked_seq": acked, "last_seq": last, "state": state, "error": f"it is {state}"}


def told(monkeypatch: pytest.MonkeyPatch, *statuses: Any) -> None:
    """What the extension says of the spool, one look after the other; the last one for ever."""

    def looks() -> Iterator[Any]:
        yield from statuses
        while True:
            yield statuses[-1]

    answers = looks()
    monkeypatch.setattr(_core, "spool_status", lambda path: next(answers))


def progress(found: Any) -> Progress:
    return Progress(path="/spool", status=found)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        (None, 0),
        (status(10), 0),
        (status(0), 3_000),
        (status(4), 1_800),
        (status(9, 10_000), 2_997),
    ],
)
def test_what_is_left_is_estimated_from_the_sequences(found: Any, left: int) -> None:
    last_seq = 10 if found is None else found["last_seq"]
    acked = last_seq if found is None else found["acked_seq"]
    assert spools.share_left(3_000, acked, last_seq) == left


def test_a_spool_without_points_has_none_left() -> None:
    assert spools.share_left(0, 0, 0) == 0


def test_a_spool_that_is_partly_stored_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "spool_left", lambda path: 1_234)
    assert progress(status(4)).count_left(10, 3_000) == 1_234
    assert progress(status(0)).count_left(10, 3_000) == 3_000
    assert progress(None).count_left(10, 3_000) == 0


def test_a_spool_that_cannot_be_read_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(path: str) -> int:
        raise _core.CoreError("corrupt")

    monkeypatch.setattr(_core, "spool_left", unreadable)
    assert progress(status(4)).count_left(10, 3_000) == 1_800


def test_a_flush_ends_when_its_sequence_is_stored(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    told(monkeypatch, status(0), status(6), status(7), status(8))
    found = spools.wait("/spool", seq=7, timeout=None)
    assert found.status is not None
    assert found.status["acked_seq"] == 7


@pytest.mark.parametrize("last_look", [None, status(10, state="done")])
def test_a_finish_ends_when_the_spool_is_gone_or_done(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, last_look: Any
) -> None:
    told(monkeypatch, status(0), status(10), last_look)
    assert spools.wait("/spool", seq=None, timeout=None).status == last_look


def test_done_before_the_last_record_is_not_done(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    told(monkeypatch, status(9, state="done"))
    spools.wait("/spool", seq=None, timeout=3.0)
    assert clock.now == pytest.approx(3.0)


def test_nobody_waits_for_what_was_refused(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    told(monkeypatch, status(0, state="refused"))
    found = spools.wait("/spool", seq=7, timeout=None)
    assert (found.state, found.error, clock.now) == ("refused", "it is refused", 0.0)


@pytest.mark.parametrize("timeout", [0.0, 0.01, 5.0])
def test_a_wait_takes_no_longer_than_asked(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, timeout: float
) -> None:
    told(monkeypatch, status(0))
    spools.wait("/spool", seq=7, timeout=timeout)
    assert clock.now == pytest.approx(timeout)


def test_patience_ends_with_a_service_out_of_reach_but_not_with_a_slow_one(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    told(monkeypatch, status(0, state="unreachable"))
    spools.wait("/spool", seq=7, timeout=10.0, patience=2.0)
    assert clock.now == pytest.approx(2.0, abs=0.1)
    clock.now = 0.0
    told(monkeypatch, status(0, state="streaming"))
    spools.wait("/spool", seq=7, timeout=10.0, patience=2.0)
    assert clock.now == pytest.approx(10.0)


def test_the_uploader_is_tended_meanwhile(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    told(monkeypatch, status(0))
    tended: list[float] = []
    spools.wait("/spool", seq=7, timeout=5.0, tend=lambda: tended.append(clock.now))
    assert len(tended) == 4
