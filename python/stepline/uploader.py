"""The uploader process of a host: `python -m stepline.uploader DIR`, and starting it.

One process drains all spools under DIR, whoever wrote them. It ends by itself when nothing is left,
and any trainer may start it again: the lock in DIR decides which of several is the one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from . import _core

LOG_NAME = "uploader.log"
_GRACE = 2.0
"""Seconds that a fresh process has to take the lock before another one is started."""

_started: dict[str, tuple[int, float]] = {}
"""Spool root -> (process id, when): what this process started and has to reap."""


def ensure_running(root: str) -> None:
    """Starts the uploader process of ROOT unless one lives, which takes microseconds to see."""
    pid, when = _started.get(root, (0, 0.0))
    reaped = pid != 0 and _reap(pid)
    if reaped:
        _started.pop(root, None)
    if _core.uploader_alive(root):
        return
    if pid != 0 and not reaped and time.monotonic() - when < _GRACE:
        return
    _started[root] = (_spawn(root), time.monotonic())


def _spawn(root: str) -> int:
    """Starts a process that shares nothing with this one: a session of its own, no terminal, no
    file of ours.
    """
    with open(Path(root) / LOG_NAME, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stepline.uploader", root],
            cwd=root,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # It outlives us on purpose: mark it as waited for, which Popen's destructor would warn about,
    # and reap it by its pid.
    process.returncode = 0
    return process.pid


def child_environment() -> dict[str, str]:
    """Ours, with this very package importable: it may come from a source tree that only sys.path
    knows.
    """
    parent = str(Path(__file__).resolve().parents[1])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if Path(parent).name not in ("site-packages", "dist-packages") and parent not in paths:
        paths.append(parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)} if paths else dict(os.environ)


def _reap(pid: int) -> bool:
    """True when the process has ended, or is not our child: after a fork it is our parent's."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def main(argv: list[str] | None = None) -> int:
    """Drains DIR until nothing is left; 0 at once when another process does so already."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m stepline.uploader DIR\n")
        return 2
    return _core.uploader_main(arguments[0])


if __name__ == "__main__":
    sys.exit(main())
