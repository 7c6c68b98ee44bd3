"""Trainers whose threads are killed while they log, for `tests/fault/test_kill_threads.py`.

python -m tests.support.threads_trainer DIR

Each line of standard input is a number of seconds: a trainer is forked, logs for about that long,
and is killed. The answer is one line: the path of its spool, then how many calls of each thread are
known to have returned. The trainers come from one warm process, so that a round costs no start of
the interpreter.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import threading
import time

from stepline import _core

THREADS = 8
BURST = 500
_PATH = 8 * (THREADS + 1)
"""Before it lie a counter for each thread and one that says that all of them run."""


def name(thread: int) -> str:
    """What one thread logs beside the name that all of them share."""
    return f"thread{thread}/loss"


def value(thread: int, step: int) -> float:
    return float(step * THREADS + thread) + 0.125


def _train(root: str, seen: mmap.mmap) -> None:
    # Small segments: kills also hit the change to the next one.
    writer = _core.Writer(root, json.dumps({"run_id": "threads"}), segment_bytes=64 << 10)
    # A store of eight bytes at once: the kill must not meet half a counter.
    counters = memoryview(seen)[:_PATH].cast("q")
    path = writer.path.encode()
    seen[_PATH : _PATH + len(path)] = path

    def log(thread: int) -> None:
        own, step = name(thread), 0
        while True:
            # Two ways into the spool: the walk, and that of nested dicts.
            if step % 16:
                writer.log({own: value(thread, step), "shared": 1.0}, step)
            else:
                writer.log({own: value(thread, step), "a": {"b": 1}}, step)
            step += 1
            counters[thread] = step
            if step > BURST:  # a kill that comes late must not make the spool long to read
                time.sleep(0.001)

    for thread in range(THREADS):
        threading.Thread(target=log, args=(thread,)).start()
    counters[THREADS] = 1


def main() -> None:
    sys.setswitchinterval(1e-5)
    for line in sys.stdin:
        seen = mmap.mmap(-1, 4096)
        pid = os.fork()
        if pid == 0:
            _train(sys.argv[1], seen)
            threading.Event().wait()
        counters = memoryview(seen)[:_PATH].cast("q")
        while not counters[THREADS]:
            time.sleep(0.0005)
        time.sleep(float(line))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        counts = counters.tolist()[:THREADS]
        path = seen[_PATH : seen.find(b"\0", _PATH)].decode()
        print(path, *counts, flush=True)


if __name__ == "__main__":
    main()
