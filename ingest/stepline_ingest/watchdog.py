"""Ends a process that hangs, so that a supervisor starts another one. Nothing acknowledged is lost
by that, and clients send the rest again.

It watches three things, each by a sign of life that long but honest work does not delay:
- the event loop, by the beat of Readiness;
- the embedded engine, by a trivial query in a thread of its own: merges and other queries run
  beside it, and an error is an answer too. A server's hanging is not ours to end: its driver has
  timeouts;
- the interpreter, by a timer of faulthandler that needs no lock of it.

A process that was stopped and continued, or a machine that slept, is given the whole time again.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

EXIT_CODE = 70
"""EX_SOFTWARE. A hung interpreter ends with 1, which faulthandler fixes."""
TICK = 1.0
_INTERPRETER_FACTOR = 3
"""The interpreter is given longer: its timer cannot see that the process was stopped."""


class Watchdog:
    """Looks every second until `stop`. LIMIT is in seconds."""

    def __init__(
        self,
        *,
        limit: float,
        loop_beat: Callable[[], float],
        ping_engine: Callable[[], object] | None,
        hung: Callable[[str], None] | None = None,
        tick: float = TICK,
    ) -> None:
        self._limit = limit
        self._tick = tick
        self._loop_beat = loop_beat
        self._ping = ping_engine
        self._hung = hung or end_process
        self._engine_beat = time.monotonic()
        self._grace = 0.0
        """Time before this does not count: the process was not running."""
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._watch, name="watchdog", daemon=True)]
        if ping_engine is not None:
            self._threads.append(
                threading.Thread(target=self._ask_engine, name="watchdog-ping", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Looks no more. Does not wait for an engine that hangs."""
        self._stopping.set()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stopping.wait(self._tick):
            now = time.monotonic()
            if now - last > self._tick + self._limit / 4:
                self._grace = now
                log.warning("the process stood still for %.0f s", now - last)
            last = now
            faulthandler.dump_traceback_later(self._limit * _INTERPRETER_FACTOR, exit=True)
            for what, beat in (("event loop", self._loop_beat()), ("engine", self._engine_beat)):
                silent = now - max(beat, self._grace)
                if silent > self._limit and not self._stopping.is_set():
                    self._stopping.set()
                    self._hung(f"the {what} has not answered for {silent:.0f} s")
                    return
            if self._ping is None:
                self._engine_beat = now

    def _ask_engine(self) -> None:
        assert self._ping is not None
        while not self._stopping.is_set():
            try:
                self._ping()
            except Exception as error:
                log.debug("the engine answers with an error: %s", error)
            self._engine_beat = time.monotonic()
            self._stopping.wait(max(self._tick, self._limit / 10))


def end_process(reason: str) -> None:
    """Writes the stacks of all threads to standard error and ends with EXIT_CODE."""
    log.critical(
        "%s: the process ends, so that its supervisor starts another one; the stacks of all "
        "threads follow",
        reason,
        extra={"event": "hang", "reason": reason},
    )
    for handler in logging.getLogger().handlers:
        handler.flush()
    faulthandler.dump_traceback(sys.stderr, all_threads=True)
    os._exit(EXIT_CODE)
