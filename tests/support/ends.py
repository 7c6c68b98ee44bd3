"""Programs that end in every way, for `tests/unit/client/test_ends.py`: one function each.

python -m tests.support.ends NAME DIR SERVER

Each logs to an offline run, or to one whose service is not there, says on standard output how many
calls have returned, and ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

import stepline

CALLS = 100

# A shell ignores SIGINT in what it starts in the background; a test run there would hand that on.
signal.signal(signal.SIGINT, signal.default_int_handler)


def start(**options: Any) -> stepline.Run:
    return stepline.init(run_id="ends", dir=sys.argv[2], server=sys.argv[3], **options)


def log(run: stepline.Run, first: int = 0) -> None:
    for step in range(first, first + CALLS):
        run.log({"loss": step / 2, "lr": 0.1}, step)
    print(first + CALLS, flush=True)


def offline() -> stepline.Run:
    run = start(mode="offline")
    log(run)
    return run


def normal_exit() -> None:
    offline()


def sys_exit() -> None:
    offline()
    sys.exit(3)


def caught_sys_exit() -> None:
    offline()
    with contextlib.suppress(SystemExit):
        sys.exit(3)


def sys_exit_in_a_thread() -> None:
    run = offline()
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
    log(run, CALLS)


def exception() -> None:
    offline()
    raise ValueError("diverged")


def exception_in_a_thread() -> None:
    run = offline()
    threading.excepthook = lambda _: None
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()
    log(run, CALLS)


def interrupt() -> None:
    offline()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)


def terminate() -> None:
    offline()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def terminate_with_a_handler() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    offline()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


def abrupt() -> None:
    offline()
    os._exit(5)


def kill() -> None:
    offline()
    os.kill(os.getpid(), signal.SIGKILL)


def unreachable() -> None:
    log(start(uploader="thread"))


def many_unreachable() -> None:
    for k in range(5):
        log(start(uploader="thread", resume="allow", rank=k, world_size=5))


def interrupted_finish() -> None:
    run = start(uploader="thread")
    log(run)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        run.finish(timeout=None)
    except KeyboardInterrupt:
        report = run.finish()
        print("interrupted", report.left, flush=True)


def _worker(run: stepline.Run | None, k: int) -> None:
    if run is not None:
        for step in range(CALLS):
            run.log({f"worker{k}": float(step)}, step)


def _with_workers(method: str) -> None:
    run = start(mode="offline")
    context: Any = multiprocessing.get_context(method)
    # Of a data loader's workers, some log and some do not.
    jobs = [(run if k % 2 else None, k) for k in range(4)]
    workers = [context.Process(target=_worker, args=job) for job in jobs]
    for worker in workers:
        worker.start()
    log(run)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    run.finish(exit_code=7)


def fork_workers() -> None:
    _with_workers("fork")


def spawn_workers() -> None:
    _with_workers("spawn")


def forkserver_workers() -> None:
    _with_workers("forkserver")


def fork_while_threads_log() -> None:
    """No child may inherit a lock that a thread of the parent held."""
    run = start(mode="offline")
    stop = threading.Event()

    def work(k: int) -> None:
        step = 0
        while not stop.is_set():
            run.log({f"thread{k}": float(step), "list": [1.0]}, step)
            step += 1

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for k in range(30):
        pid = os.fork()
        if pid == 0:
            run.log({"child": float(k)}, k)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    stop.set()
    for thread in threads:
        thread.join()
    print("all children ended", flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
