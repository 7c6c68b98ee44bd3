"""The end of the process, and its forks: no run is left without its last word."""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from . import _core
from .redaction import redacted_text

if TYPE_CHECKING:
    from .run import Run

TIMEOUT = 10.0
"""Seconds that the end of a program waits at most for points to be stored."""
PATIENCE = 2.0
"""The same while the service cannot be reached."""
_LONGEST = 4_096
"""Of the type and the message of an exception, in characters."""
_INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""

_unfinished: dict[int, Run] = {}
_registered = False
_left_with: int | None = None
"""The code of the `sys.exit()` that ends the program."""


def watch(run: Run) -> None:
    """Finishes RUN when the process ends before it was."""
    global _registered
    if not _registered:
        _registered = True
        atexit.register(_finish_all)
        os.register_at_fork(after_in_child=_after_fork_in_child)
        _watch_sys_exit()
    _unfinished[id(run)] = run


def forget(run: Run) -> None:
    """RUN is finished."""
    _unfinished.pop(id(run), None)


def code_of(error: BaseException | None) -> int:
    """The exit code that an exception leaving a block stands for; None is no exception."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
    return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


@dataclass(frozen=True)
class Ending:
    """How a program ends."""

    exit_code: int
    error: BaseException | None = None
    """The exception that nobody caught."""


def words_of(error: BaseException | None) -> dict[str, str]:
    """The type and the message of an exception, for the service; nothing for none."""
    if error is None:
        return {}
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    try:
        message = str(error)
    except Exception as failed:  # a message is anybody's code
        message = f"(no message: {type(failed).__name__})"
    # JSON takes no half of a surrogate pair, and the service no novel.
    return {
        "error_type": name.encode(errors="replace").decode()[:_LONGEST],
        "error_message": redacted_text(message.encode(errors="replace").decode())[:_LONGEST],
    }


def ending() -> Ending:
    """How this program ends, as `exit_code` says, with its exception."""
    code = exit_code()
    interactive = hasattr(sys, "ps1")
    uncaught = None if interactive or _left_with is not None else getattr(sys, "last_value", None)
    return Ending(code, uncaught if code else None)


def exit_code() -> int:
    """What the shell will see of this program, which is ending: the code of `sys.exit()`, or that
    of an exception that nobody caught. `raise SystemExit(n)` without `sys.exit` leaves no trace.
    """
    if _left_with is not None:
        return _left_with
    interactive = hasattr(sys, "ps1")
    return code_of(None if interactive else getattr(sys, "last_value", None))


def _finish_all() -> None:
    """Tells all runs that the program ends; waits together as long as for one."""
    end = ending()
    began = time.monotonic()
    patience, interrupted = PATIENCE, None
    for run in list(_unfinished.values()):
        started = time.monotonic()
        timeout = 0.0 if interrupted else max(0.0, TIMEOUT - (started - began))
        try:
            if run._finish_at_exit(end, timeout, patience).left:
                patience = max(0.0, patience - (time.monotonic() - started))
        except KeyboardInterrupt as pressed:
            interrupted = pressed
    if interrupted is not None:
        raise interrupted


class _Departure:
    """Rides on the SystemExit of one `sys.exit()` and dies with it.

    Whoever catches a SystemExit lets go of it from a Python frame. One that nobody catches is
    dropped by the interpreter when no frame is left, right before it runs the exit handlers: that
    is how the two are told apart.
    """

    def __init__(self, code: int) -> None:
        self._code = code

    def __del__(self) -> None:
        global _left_with
        if threading.current_thread() is threading.main_thread() and _is_outermost():
            _left_with = self._code


def _is_outermost() -> bool:
    # above this function there is only the finalizer
    return sys._getframe(1).f_back is None


def _watch_sys_exit() -> None:
    leave = sys.exit

    @functools.wraps(leave)
    def exit(*args: Any) -> NoReturn:
        try:
            leave(*args)
        except SystemExit as error:
            error._stepline = _Departure(code_of(error))  # type: ignore[attr-defined]
            raise

    sys.exit = exit


def _after_fork_in_child() -> None:
    # the runs stay usable (each child's points go to a spool of its own), but their ends are the
    # parent's to tell
    _unfinished.clear()
    _core.after_fork_in_child()
