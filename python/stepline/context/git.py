"""The state of the code, which a process of its own asks git for: see `git_report`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

PATIENCE = 120.0
"""Seconds after which the process is ended."""
_PIPE_BYTES = 1 << 20
_MOST_BYTES = 4 << 20
_PAUSE = 0.005


def find_repository(*folders: str | None) -> Path | None:
    """The root of the work tree in which the first of FOLDERS lies that lies in any."""
    for folder in folders:
        if folder:
            here = Path(folder).absolute()
            for place in (here, *here.parents):
                if (place / ".git").exists():
                    return place
    return None


class GitLook:
    """Asks about the repository at ROOT and waits for nothing: what is said waits in a pipe."""

    def __init__(self, root: Path, *, diff: bool) -> None:
        self._began = time.monotonic()
        self._pid = os.getpid()
        self._data = bytearray()
        words = [str(Path(__file__).with_name("git_report.py")), str(root)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", *words, *(["diff"] if diff else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(OSError, AttributeError):
            # All of it fits, so that the process can end before anybody reads.
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._pipe.fileno(), False)

    def look(self) -> bool:
        """Reads what is there; True when everything is said, or no patience is left."""
        if self._pid != os.getpid():
            return False  # a forked child: the answer is its parent's
        if self._process.returncode is not None:
            return True
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._pipe.fileno(), 1 << 16):
                self._data += piece
            self._process.poll()
        if time.monotonic() - self._began > PATIENCE or len(self._data) > _MOST_BYTES:
            self.close()
        return self._process.returncode is not None

    def wait(self, seconds: float) -> None:
        """Until everything is said, or SECONDS are over."""
        deadline = time.monotonic() + seconds
        while not self.look() and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Ends the process if it still runs."""
        if self._pid != os.getpid():
            return
        if self._process.returncode is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PAUSE)
            if self._process.returncode is None:
                self._process.returncode = -9  # it hangs in the kernel: nobody waits for that
        self._pipe.close()

    def parts(self) -> dict[str, dict[str, Any]]:
        """The parts of the context that are known, by name."""
        if self._process.returncode != 0:
            return {}
        found: dict[str, dict[str, Any]] = json.loads(self._data)
        return found

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout
