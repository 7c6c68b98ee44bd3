"""Watches one process and everything that it starts, orphans included: `python supervise.py SPEC`.

SPEC is JSON: `command`, `env`, `cwd`, `kill` (null; "alone": SIGKILL for the process itself;
"tree": for all of its processes as well), `patience` (seconds that what it started may outlive it).
Prints JSON: what the child said, seconds, processor time and peak memory.

As a child subreaper (Linux) this process inherits orphans and reaps them, so that the processor
time of every descendant is counted by `getrusage`. Needs only the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """All living processes below PID."""
    found: list[int] = []
    queue = [pid]
    while queue:
        parent = queue.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split():
                    found.append(int(child))
                    queue.append(int(child))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of living processes and of the children that they have reaped."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def proportional_memory(pids: list[int]) -> int:
    """Bytes in memory; a page shared by n processes counts 1/n in each."""
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib * 1024


class Watch(threading.Thread):
    """Samples the memory of all descendants."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._over = threading.Event()

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, proportional_memory(descendants(os.getpid())))
            if self._over.wait(SAMPLE_SECONDS):
                return

    def end(self) -> int:
        self._over.set()
        self.join()
        return self.peak


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reap(patience: float) -> list[str]:
    """Waits for every descendant; ends what outlives PATIENCE and says what that was."""
    end = time.monotonic() + patience
    outlived: list[str] = []
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return outlived
        if pid:
            continue
        if time.monotonic() > end:
            left = descendants(os.getpid())
            for process in left:
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
                    outlived.append(" ".join(words)[:120].strip())
            kill_all(left)
            end = time.monotonic() + patience
        time.sleep(0.005)


def supervise(spec: dict[str, Any]) -> dict[str, Any]:
    process = subprocess.Popen(
        spec["command"],
        env=spec["env"],
        cwd=spec["cwd"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watch = Watch()
    base, said, began, logged = 0.0, {}, time.perf_counter(), 0
    for raw in process.stdout:
        line = raw.strip()
        if line == b"ready":
            base = cpu_seconds([process.pid, *descendants(process.pid)])
            watch.start()
            began = time.perf_counter()
            process.stdin.write(b"go\n")
            process.stdin.flush()
        elif line.startswith(b"logged "):
            below = descendants(process.pid) if spec["kill"] == "tree" else []
            kill_all([process.pid, *below])
            logged = int(line.split()[1])
            break
        elif line.startswith(b"{"):
            said = json.loads(line)
            break
    # What it says at its end must not fill the pipe and stop it.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    process.stdin.close()
    code = process.wait()
    ended = time.perf_counter()
    outlived = reap(spec["patience"])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        **said,
        "logged": logged,
        "exit_code": code,
        "process_seconds": ended - began,
        "tree_seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime - base,
        "peak_bytes": watch.end() if watch.ident else 0,
        "outlived": outlived,
    }


def main() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        print(json.dumps(supervise(json.loads(sys.argv[1]))))
    finally:
        kill_all(descendants(os.getpid()))  # nothing is left after Ctrl-C


if __name__ == "__main__":
    main()
