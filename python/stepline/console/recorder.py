"""Recording printed lines as control records of a spool, within limits.

Whoever prints must neither wait nor fail: there is no lock that is waited for. A thread that finds
another one at work (or itself, when a signal handler prints, or the recording does) leaves its text
to that one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from functools import partial

from .fold import Fold, Line

OUT, ERR, NOTE = 1, 2, 3
"""The numbers of ConsoleStream."""
BURST_BYTES = 1 << 20
BYTES_PER_SECOND = 64 << 10
BURST_LINES = 10_000
LINES_PER_SECOND = 500
_MOST_PIECES = 256
MOST_BYTES = 256 << 20
"""Of one process."""
_quoted = json.JSONEncoder(ensure_ascii=False).encode


class Recorder:
    """The lines of one process for one run. CONTROL records a JSON text."""

    def __init__(self, control: Callable[[str], None]) -> None:
        self._control = control
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        # Whoever prints appends; only who has the lock takes from the front.
        self._waiting: dict[int, list[str]] = {OUT: [], ERR: []}
        self._flushes = False
        self._lines = 0
        self._folds = {
            stream: Fold(self._next_line, partial(self._keep, stream)) for stream in (OUT, ERR)
        }
        self._limit = _Limit()

    def write(self, stream: int, text: str) -> None:
        """Takes what was printed to STREAM. The pieces of a line wait for its end: `print` writes
        each of its arguments by itself."""
        waiting = self._waiting[stream]
        waiting.append(text)
        if "\n" in text or "\r" in text or len(waiting) > _MOST_PIECES:
            self._work()

    def flush(self) -> None:
        """Records the states of lines that are not kept yet."""
        self._flushes = True
        self._work()

    def close(self) -> None:
        """Records what is left."""
        self._work()
        if self._lock.acquire(timeout=1.0):
            with contextlib.suppress(Exception):
                for fold in self._folds.values():
                    fold.flush(ends=True)
                self._confess()
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Lines that had begun are the parent's."""
        self._begin()

    def _work(self) -> None:
        waiting = self._waiting
        while (waiting[OUT] or waiting[ERR] or self._flushes) and self._lock.acquire(False):
            try:
                self._take_all()
            finally:
                self._lock.release()

    def _take_all(self) -> None:
        for stream, texts in self._waiting.items():
            # Others append meanwhile, behind these.
            taken = texts[:]
            del texts[: len(taken)]
            if taken:
                self._feed(stream, taken)
        if self._flushes:
            self._flushes = False
            with contextlib.suppress(Exception):
                for fold in self._folds.values():
                    fold.flush()

    def _feed(self, stream: int, texts: list[str]) -> None:
        try:  # noqa: SIM105 - a context manager costs as much as the line
            self._folds[stream].feed("".join(texts))
        except Exception:
            pass

    def _next_line(self) -> int:
        self._lines += 1
        return self._lines

    def _keep(self, stream: int, line: Line, is_open: bool) -> None:
        if not self._limit.lets(len(line.text)):
            return
        self._confess()
        text = line.text.rstrip(" ")
        if line.left_out:
            text += f" [stepline: {line.left_out:,} more characters]"
        self._record(stream, line.number, text, is_open)

    def _confess(self) -> None:
        """Says what was left out, where it was."""
        if self._limit.lines:
            lines, size = self._limit.forget()
            self._record(
                NOTE,
                self._next_line(),
                f"[stepline: {lines:,} lines with {size:,} characters are left out here: a process "
                f"may print {BYTES_PER_SECOND:,} characters and {LINES_PER_SECOND:,} lines a "
                f"second, and {MOST_BYTES:,} characters in all]",
                False,
            )

    def _record(self, stream: int, number: int, text: str, is_open: bool) -> None:
        # Put together here: an encoder of the whole costs four times as much.
        quoted = _quoted(text.encode("utf-8", "replace").decode())
        try:
            self._control(
                f'{{"console":{{"line":{number},"stream":{stream},'
                f'"time_ms":{time.time_ns() // 1_000_000},"text":{quoted},'
                f'"open":{"true" if is_open else "false"}}}}}'
            )
        except Exception:
            self._limit.left_out(len(text))


class _Limit:
    """A bucket that fills as time goes by, and what did not fit into it."""

    def __init__(self) -> None:
        self._bytes = float(BURST_BYTES)
        self._lines = float(BURST_LINES)
        self._all = 0
        self._when = time.monotonic()
        self.lines = 0
        self._size = 0

    def lets(self, size: int) -> bool:
        now = time.monotonic()
        passed, self._when = now - self._when, now
        self._bytes = min(BURST_BYTES, self._bytes + passed * BYTES_PER_SECOND)
        self._lines = min(BURST_LINES, self._lines + passed * LINES_PER_SECOND)
        if self._lines < 1 or self._bytes < size or self._all + size > MOST_BYTES:
            self.left_out(size)
            return False
        self._lines -= 1
        self._bytes -= size
        self._all += size
        return True

    def left_out(self, size: int) -> None:
        self.lines += 1
        self._size += size

    def forget(self) -> tuple[int, int]:
        found = self.lines, self._size
        self.lines = self._size = 0
        return found
