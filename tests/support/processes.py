"""Starting, reading and killing the processes that the fault tests play with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from stepline import _core

ROOT = Path(__file__).resolve().parents[2]


class Trainer:
    """`tests.support.trainer` as a child process, and what it has said so far. A thread listens, so
    that it never has to wait to be heard."""

    def __init__(
        self, server: str, directory: Path, run_id: str, rank: int, steps: int, *options: str
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.support.trainer"),
                *(server, str(directory), run_id, str(rank), str(steps), *options),
            ],
            cwd=ROOT,
            env={**os.environ, "STEPLINE_LAUNCH_ID": run_id},
            stdout=subprocess.PIPE,
        )
        self.lines: list[bytes] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def returned(self) -> int:
        """How many log() calls are known to have returned."""
        return sum(line.isdigit() for line in list(self.lines))

    def wait_for(self, line: bytes) -> None:
        """Until it says LINE; fails when the process ends before."""
        wait_until(
            lambda: line in self.lines or not self._listener.is_alive(),
            what=f"the trainer says {line!r}",
            timeout=120,
        )
        assert line in self.lines, f"the trainer ended before {line!r}: {self.lines[-5:]}"

    def kill(self) -> int:
        """SIGKILL; returns how many log() calls are known to have returned."""
        self.process.send_signal(signal.SIGKILL)
        return self.join()

    def stop_logging(self) -> None:
        """It goes on as if it had logged all its steps."""
        self.process.send_signal(signal.SIGUSR1)

    def join(self) -> int:
        """Waits for the end; returns how many log() calls are known to have returned."""
        self.process.wait()
        self._listener.join()
        return self.returned

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            self.lines.extend(line.strip() for line in stdout)


def uploaders(directory: Path) -> list[psutil.Process]:
    """The uploader processes of one spool directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        cmdline = process.info["cmdline"] or []
        if "stepline.uploader" in cmdline and str(directory) in cmdline:
            found.append(process)
    return found


def stop_uploaders(directory: Path) -> None:
    """SIGKILL; returns when they are dead, whether or not the trainer that started them has reaped
    them."""
    for process in uploaders(directory):
        process.kill()
        wait_until(partial(_is_dead, process), what="the uploader is dead")


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], *, what: str, timeout: float = 60.0) -> None:
    """Polls CONDITION; the limit only ends a test that hangs."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s in vain until {what}"
        time.sleep(0.02)


def wait_drained(directory: Path) -> None:
    """Until nothing is left in the spools."""
    wait_until(
        lambda: all(s["acked_seq"] >= s["last_seq"] for s in _core.spool_scan(str(directory))),
        what=f"the spools in {directory} are sent: {_core.spool_scan(str(directory))}",
    )
