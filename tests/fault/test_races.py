"""Many jobs want one run.

Scenario: fifty jobs begin one run at the same time and try again until they get in; whoever holds
it logs, and then finishes or is killed at a random moment; whenever it is free the others rush, and
some of them are killed on their way in. Guarantees: at most one job holds the run at a time; every
attempt is that of a job that held the run, or was killed before it heard that it does; nobody's
points are lost or interleaved with another's; whatever was logged is stored once under the attempt
of its job.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import selectors
import signal
import subprocess
import sys
from typing import Any

import stepline
from tests.fault.stage import ROUNDS, Stage, rounds
from tests.support.processes import ROOT, wait_drained
from tests.support.racers import VALUES, launch_id

JOBS, HOLDERS, KILLS = 50, 4, 3
PATIENCE = 300.0


def test_fifty_jobs_race_for_one_run(stage: Stage, chance: random.Random) -> None:
    command = [sys.executable, "-m", "tests.support.racers", stage.service.grpc, str(stage.spools)]
    held = unheard = 0
    racers = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in rounds(short=1, share=1.0):
            run_id = stage.new_run("race")
            said, stuck = race(racers, run_id, chance.getrandbits(32))
            wait_drained(stage.spools)
            with stage.connect() as client:
                unheard += judge(client.run(run_id), run_id, said)
            holders = sum("attempt" in job for job in said.values())
            assert stuck or holders >= HOLDERS
            held += holders
    finally:
        # With the jobs of a race that does not end.
        os.killpg(racers.pid, signal.SIGKILL)
        racers.communicate()
    if ROUNDS:
        print(f"{held} jobs held their run, {unheard} were killed before they heard of it")


def race(
    racers: subprocess.Popen[str], run_id: str, seed: int
) -> tuple[dict[int, dict[str, Any]], bool]:
    """What each job that was near the run said of it, and whether a dead one kept the others
    out."""
    assert racers.stdin is not None
    assert racers.stdout is not None
    asked = {"run_id": run_id, "jobs": JOBS, "holders": HOLDERS, "kills": KILLS, "seed": seed}
    racers.stdin.write(json.dumps(asked) + "\n")
    racers.stdin.flush()
    # Not select(): with other tests before it this process may have more than 1,024 files open.
    with selectors.DefaultSelector() as selector:
        selector.register(racers.stdout, selectors.EVENT_READ)
        answered = selector.select(PATIENCE)
    assert answered, f"the race for {run_id} did not end"
    answer = json.loads(racers.stdout.readline())
    return {int(number): job for number, job in answer["said"].items()}, answer["stuck"]


def judge(view: stepline.RunView, run_id: str, said: dict[int, dict[str, Any]]) -> int:
    """Returns how many attempts belong to jobs that were killed before they heard of it."""
    held = {job["attempt"]: (number, job) for number, job in said.items() if "attempt" in job}
    attempts = view.lineage().attempts
    # Each attempt is that of one job, which either knows it or was killed on its way in.
    jobs = {launch_id(run_id, number): number for number in said}
    assert [attempt.attempt for attempt in attempts] == list(range(1, len(attempts) + 1))
    assert len({attempt.launch_id for attempt in attempts}) == len(attempts)
    assert held.keys() <= {attempt.attempt for attempt in attempts}
    for attempt in attempts:
        number = jobs[attempt.launch_id]
        assert said[number].get("attempt", attempt.attempt) == attempt.attempt
    unheard = [attempt for attempt in attempts if attempt.attempt not in held]
    assert all("shot" in said[jobs[attempt.launch_id]] for attempt in unheard)

    in_order = [held[number][1] for number in sorted(held)]
    for job, following in itertools.pairwise(in_order):
        assert job["left"] <= following["began"], "two jobs held the run at a time"

    every = view.history("loss", all_attempts=True)
    assert every.attempt is not None
    assert {int(number) for number in every.attempt} <= held.keys()
    for attempt, (number, job) in held.items():
        values = every.value[every.attempt == attempt].tolist()
        assert values == [number * VALUES + step for step in range(len(values))]
        assert len(values) == job.get("points", len(values))
        state = attempts[attempt - 1].state
        if "shot" not in job:
            assert (state == "crashed") is job["killed"]
    # Every job logs from step 0 on, so the last one that logged is all that is shown.
    last = max(int(number) for number in every.attempt)
    assert {int(value) // VALUES for value in view.history("loss").value} == {held[last][0]}
    return len(unheard)
