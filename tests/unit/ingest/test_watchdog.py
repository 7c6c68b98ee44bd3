"""The watchdog: it ends what hangs, and nothing else."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from stepline_ingest.store.errors import StoreError
from stepline_ingest.watchdog import Watchdog

LIMIT, TICK = 1.0, 0.02


def test_an_engine_that_hangs() -> None:
    release = threading.Event()
    hung: queue.Queue[str] = queue.Queue()
    dog = Watchdog(
        limit=LIMIT, loop_beat=time.monotonic, ping_engine=release.wait, hung=hung.put, tick=TICK
    )
    try:
        assert "the engine has not answered" in hung.get(timeout=60)
    finally:
        release.set()
        dog.stop()


def test_an_event_loop_that_hangs() -> None:
    begun = time.monotonic()
    hung: queue.Queue[str] = queue.Queue()
    dog = Watchdog(limit=LIMIT, loop_beat=lambda: begun, ping_engine=None, hung=hung.put, tick=TICK)
    try:
        assert "the event loop has not answered" in hung.get(timeout=60)
    finally:
        dog.stop()


def test_errors_are_answers() -> None:
    """An engine that refuses every query, or a server that is away, is no reason to end."""
    asked = threading.Semaphore(0)
    hung: queue.Queue[str] = queue.Queue()

    def refuse() -> None:
        asked.release()
        raise StoreError("no memory")

    # A limit that a loaded machine does not reach by itself.
    dog = Watchdog(limit=30, loop_beat=time.monotonic, ping_engine=refuse, hung=hung.put, tick=TICK)
    try:
        assert asked.acquire(timeout=60)
        with pytest.raises(queue.Empty):
            hung.get_nowait()
    finally:
        dog.stop()


def test_time_in_which_the_process_stood_still_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scenario: SIGSTOP for an hour, then SIGCONT. Guarantee: nobody is accused before a whole
    limit has passed again."""
    jump = [0.0]
    real = time.monotonic
    monkeypatch.setattr("stepline_ingest.watchdog.time.monotonic", lambda: real() + jump[0])
    hung: queue.Queue[str] = queue.Queue()
    looked = threading.Semaphore(0)
    begun = real()

    def beat() -> float:
        looked.release()
        return begun

    dog = Watchdog(limit=600, loop_beat=beat, ping_engine=None, hung=hung.put, tick=TICK)
    try:
        assert looked.acquire(timeout=60)
        jump[0] = 3600
        for _ in range(5):
            assert looked.acquire(timeout=60)
        assert hung.empty()
    finally:
        dog.stop()
