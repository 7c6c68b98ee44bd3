"""Jobs that want one run, each a process of its own: forked, because starting an interpreter for
each would be most of the work.

`python -m tests.support.racers SERVER DIR RUN_ID JOBS HOLDERS SEED` prints one line of JSON for
each job that held the run: its number, the attempt, when it began and when it was about to end
(monotonic), how many points it logged, and whether it was killed. Whoever holds the run when the
round is over is killed in the middle of it, and has not said how many points it logged.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time

import stepline

VALUES = 1_000_000
"""The value of a point is that of its job times this, plus its number."""


def tell(told: int, **said: object) -> None:
    os.write(told, json.dumps(said).encode() + b"\n")


def race(server: str, directory: str, run_id: str, job: int, seed: int, told: int) -> None:
    """Tries until it holds the run; then logs, and ends in one of several ways."""
    rng = random.Random(seed * 1_000 + job)
    os.environ["STEPLINE_LAUNCH_ID"] = f"{run_id}-{job}-{seed}"
    while True:
        try:
            run = stepline.init(
                project="race",
                run_id=run_id,
                resume="allow",
                server=server,
                dir=directory,
                on_error="raise",
            )
            break
        except (stepline.RunIsLive, stepline.ServerUnreachable):
            time.sleep(rng.uniform(0.05, 0.3))
    tell(told, job=job, attempt=run.attempt, began=time.monotonic())
    count = rng.randrange(1, 60)
    killed = rng.random() < 0.6
    for step in range(count):
        run.log({"loss": job * VALUES + step}, step=step)
    if killed and rng.random() < 0.5:
        time.sleep(rng.uniform(0, 0.3))
    tell(told, job=job, points=count, killed=killed, left=time.monotonic())
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    run.finish(exit_code=rng.choice([0, 1]))
    os._exit(0)


def main() -> None:
    server, directory, run_id = sys.argv[1:4]
    jobs, holders, seed = map(int, sys.argv[4:7])
    reading, writing = os.pipe()
    children: dict[int, int] = {}
    for job in range(1, jobs + 1):
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            try:
                race(server, directory, run_id, job, seed, writing)
            finally:
                os._exit(1)
        children[pid] = job
    os.close(writing)
    found: dict[int, dict[str, object]] = {}
    over = 0
    buffer = b""
    while over < holders and children:
        readable, _, _ = select.select([reading], [], [], 0.02)
        if readable:
            buffer += os.read(reading, 65536)
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                said = json.loads(line)
                found.setdefault(said.pop("job"), {}).update(said)
        while children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            job = children.pop(pid)
            over += job in found
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    while chunk := os.read(reading, 65536):
        buffer += chunk
    for line in buffer.splitlines():
        said = json.loads(line)
        found.setdefault(said.pop("job"), {}).update(said)
    for job, said in found.items():
        print(json.dumps({"job": job, **said}), flush=True)


if __name__ == "__main__":
    main()
