"""Jobs that want one run, each a process of its own: forked from one that has everything imported,
because starting an interpreter for each would be most of the work.

`python -m tests.support.racers SERVER DIR` reads one race from each line of its input, as JSON:
`{"run_id": .., "jobs": .., "holders": .., "kills": .., "seed": ..}`, and answers with one line,
`{"said": .., "stuck": ..}`: what each job that was near the run said of it, by its number, and
whether the race was over before so many had held the run. `entering` is said before each try to get
in, so a job that was killed within init() is known as one that may have got in.

Who is refused waits for the holder to leave, and then all rush at once; a few do not wait. While
they rush, KILLS of them are killed at random. When the run was given to a job that was killed
before it could log, nobody gets in for as long as a lease lives, and the race is over.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections import defaultdict
from typing import Any

import stepline

VALUES = 1_000_000
"""The value of a point is that of its job times this, plus its number."""
RUSH = signal.SIGUSR1
SILENCE = 2.0
"""Seconds in which nobody left, after which it is worth asking whether a dead job has the run."""


def tell(told: int, **said: object) -> None:
    os.write(told, json.dumps(said).encode() + b"\n")


def launch_id(run_id: str, job: int) -> str:
    return f"{run_id}-job-{job}"


def race(server: str, directory: str, run_id: str, job: int, seed: int, told: int) -> None:
    """Tries until it holds the run; then logs, and ends in one of several ways."""
    rng = random.Random(seed * 1_000 + job)
    os.environ["STEPLINE_LAUNCH_ID"] = launch_id(run_id, job)
    while True:
        tell(told, job=job, entering=True)
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
        except (stepline.RunIsLive, stepline.ServerUnreachable) as refused:
            # Nobody knows whether a call without an answer got in.
            tell(told, job=job, entering=isinstance(refused, stepline.ServerUnreachable))
        signal.sigtimedwait([RUSH], rng.uniform(0.05, 2.0))
    tell(told, job=job, attempt=run.attempt, began=time.monotonic())
    count = rng.randrange(1, 60)
    killed = rng.random() < 0.6
    for step in range(count):
        run.log({"loss": job * VALUES + step}, step=step)
    if killed and rng.random() < 0.5:
        time.sleep(rng.uniform(0, 0.1))
    tell(told, job=job, points=count, killed=killed, left=time.monotonic())
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    run.finish(exit_code=rng.choice([0, 1]))
    os._exit(0)


class Race:
    """One race: forks the jobs, kills some, and hears what they say."""

    def __init__(self, server: str, directory: str, asked: dict[str, Any]) -> None:
        self._server = server
        self._run_id = asked["run_id"]
        self._rng = random.Random(asked["seed"])
        self._holders, self._kills = asked["holders"], asked["kills"]
        self.said: dict[int, dict[str, Any]] = defaultdict(dict)
        self.stuck = False
        """The run was given to a job that was dead by then."""
        self._children: dict[int, int] = {}
        self._buffer = b""
        self._reading, writing = os.pipe()
        for job in range(1, asked["jobs"] + 1):
            pid = os.fork()
            if pid == 0:
                os.close(self._reading)
                try:
                    race(server, directory, self._run_id, job, asked["seed"], writing)
                finally:
                    os._exit(1)
            self._children[pid] = job
        os.close(writing)

    def run(self) -> dict[int, dict[str, Any]]:
        """What the jobs said, when enough of them have held the run."""
        over, looked = 0, time.monotonic()
        while over < self._holders and self._children:
            self._hear(0.02)
            if time.monotonic() - looked > SILENCE:
                self.stuck = self._is_held_by_the_dead()
                if self.stuck:
                    break
                looked = time.monotonic()
            left = self._reap()
            if left:
                over += left
                looked = time.monotonic()
                for pid in self._children:
                    os.kill(pid, RUSH)
                self._kill_some()
        for pid in self._children:
            self._kill(pid)
        for pid in self._children:
            os.waitpid(pid, 0)
        while self._hear(None):
            pass
        os.close(self._reading)
        return {n: job for n, job in self.said.items() if "attempt" in job or job.get("entering")}

    def _hear(self, seconds: float | None) -> bool:
        readable, _, _ = select.select([self._reading], [], [], seconds)
        chunk = os.read(self._reading, 65536) if readable else b""
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.said[said.pop("job")].update(said)
        return bool(chunk)

    def _reap(self) -> int:
        """How many of those that are gone had held the run."""
        gone = 0
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            self._hear(0)
            gone += "attempt" in self.said[self._children.pop(pid)]
        return gone

    def _kill_some(self) -> None:
        """Right now, or a moment later, when the first ones are on their way in."""
        time.sleep(self._rng.uniform(0, 0.05))
        for pid in self._rng.sample(sorted(self._children), min(self._kills, len(self._children))):
            self._kill(pid)

    def _kill(self, pid: int) -> None:
        # What it has said by itself counts more.
        job = self.said[self._children[pid]]
        job.setdefault("left", time.monotonic())
        job["shot"] = True
        os.kill(pid, signal.SIGKILL)

    def _is_held_by_the_dead(self) -> bool:
        living = set(self._children.values())
        silent = {launch_id(self._run_id, n) for n in self.said if n not in living}
        silent -= {launch_id(self._run_id, n) for n, job in self.said.items() if "attempt" in job}
        if not silent:
            return False
        with stepline.connect(self._server) as client:
            newest = client.run(self._run_id).lineage().attempts[-1]
        return newest.state == "running" and newest.launch_id in silent


def main() -> None:
    server, directory = sys.argv[1:3]
    signal.pthread_sigmask(signal.SIG_BLOCK, [RUSH])
    for line in sys.stdin:
        asked = json.loads(line)
        # In a process of its own: asking the service starts threads, and who forks has none.
        if os.fork() == 0:
            race = Race(server, directory, asked)
            print(json.dumps({"said": race.run(), "stuck": race.stuck}), flush=True)
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
