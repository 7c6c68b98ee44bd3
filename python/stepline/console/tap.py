"""Listening at `sys.stdout` and `sys.stderr`.

The stream objects stay what they are, since loggers and progress bars hold them: only their `write`
is replaced, on the object itself. So `print`, `logging`, tqdm and tracebacks of uncaught errors are
heard. What goes past Python's streams is not: `os.write`, `sys.stdout.buffer`, C libraries (NCCL,
CUDA), faulthandler, and processes that are started.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from .recorder import ERR, OUT, Recorder

_recorders: list[Recorder] = []
_taps: list[_Tap] = []
_registered = False


def listen(recorder: Recorder) -> Callable[[], None]:
    """RECORDER hears what is printed from now on; returns what ends that."""
    global _registered
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_after_fork_in_child)
    if not _taps:
        for number, stream in ((OUT, sys.stdout), (ERR, sys.stderr)):
            with contextlib.suppress(Exception):  # a stream that is missing or does not let us
                _taps.append(_Tap(stream, number))
    _recorders.append(recorder)

    def end() -> None:
        if recorder in _recorders:
            _recorders.remove(recorder)
            if not _recorders:
                while _taps:
                    _taps.pop().remove()
            recorder.close()

    return end


class _Tap:
    """A stream whose `write` tells the recorders."""

    def __init__(self, stream: Any, number: int) -> None:
        self._stream = stream
        self._had = "write" in vars(stream)
        self._write = write = stream.write

        def heard(text: str) -> Any:
            written = write(text)
            for recorder in _recorders:
                recorder.write(number, text)
            return written

        self._heard = heard
        stream.write = heard

    def remove(self) -> None:
        """Unless somebody else has put a `write` over ours, which then goes on through it."""
        with contextlib.suppress(Exception):
            if vars(self._stream).get("write") is self._heard:
                if self._had:
                    self._stream.write = self._write
                else:
                    del self._stream.write


def _after_fork_in_child() -> None:
    for recorder in _recorders:
        recorder.after_fork_in_child()
