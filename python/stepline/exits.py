"""The end of the process, and its forks: no run is left without its last word."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from .run import Run

_unfinished: dict[int, Run] = {}
_registered = False


def watch(run: Run) -> None:
    """Finishes RUN when the process ends before it was."""
    global _registered
    if not _registered:
        _registered = True
        atexit.register(_finish_all)
        os.register_at_fork(after_in_child=_after_fork_in_child)
    _unfinished[id(run)] = run


def forget(run: Run) -> None:
    """RUN is finished."""
    _unfinished.pop(id(run), None)


def code_of(error: BaseException | None) -> int:
    """The exit code that an exception leaving a block stands for; None is no exception."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1


def exit_code() -> int:
    """1 when an exception ends the program; of `sys.exit(n)` nothing can be seen here."""
    interactive = hasattr(sys, "ps1")
    return int(not interactive and getattr(sys, "last_value", None) is not None)


def _finish_all() -> None:
    for run in list(_unfinished.values()):
        run._finish_at_exit(exit_code())


def _after_fork_in_child() -> None:
    # the runs stay usable (each child's points go to a spool of its own), but their ends are the
    # parent's to tell
    _unfinished.clear()
    _core.after_fork_in_child()
