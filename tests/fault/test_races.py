"""Many jobs want one run.

Scenario: fifty jobs begin one run at the same time and try again until they get in; whoever holds
it logs, and then finishes or is killed at a random moment. Guarantees: at most one job holds the
run at a time; nobody's points are lost or interleaved with another's; whatever was logged is stored
once under the attempt of its job.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys

import stepline
from tests.fault.stage import Stage, rounds
from tests.support.processes import ROOT, wait_drained
from tests.support.racers import VALUES

JOBS, HOLDERS = 50, 4


def test_fifty_jobs_race_for_one_run(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=1.0):
        run_id = stage.new_run("race")
        arguments = (
            stage.service.grpc,
            stage.spools,
            run_id,
            JOBS,
            HOLDERS,
            chance.getrandbits(32),
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.racers", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        held = sorted(map(json.loads, done.stdout.splitlines()), key=lambda job: job["began"])
        assert len(held) >= HOLDERS, done.stderr
        assert [job["attempt"] for job in held] == list(range(1, len(held) + 1))
        for job, following in itertools.pairwise(held):
            assert job["left"] <= following["began"], "two jobs held the run at a time"
        wait_drained(stage.spools)
        with stepline.connect(stage.service.grpc) as client:
            view = client.run(run_id)
            every = view.history("loss", all_attempts=True)
            assert every.attempt is not None
            for job in held:
                values = every.value[every.attempt == job["attempt"]].tolist()
                logged = [job["job"] * VALUES + step for step in range(len(values))]
                assert values == logged
                assert len(values) == job.get("points", len(values))
            states = [attempt.state for attempt in view.lineage().attempts]
            # One more may have been let in, and killed with the round before it heard of it.
            assert len(held) <= len(states) <= len(held) + 1
            for job, state in zip(held, states, strict=False):
                if "killed" in job:
                    assert (state == "crashed") is job["killed"]
            # Every job logs from step 0 on, so the last one that logged is all that is shown.
            last = max(int(number) for number in every.attempt.tolist())
            shown = [job["job"] for job in held if job["attempt"] == last]
            assert {int(value) // VALUES for value in view.history("loss").value} == set(shown)
