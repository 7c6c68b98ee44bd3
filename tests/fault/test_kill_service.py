"""SIGKILL of the service.

Scenario: it dies at chosen points of a commit (before the INSERT, in the middle of it, after it and
before the acknowledgement) and at random times under the load of two ranks, and is started again on
the same ports and the same store.
Guarantees: what was acknowledged is there right after the restart; in the end every point is stored
exactly once; the trainers never notice.
"""

from __future__ import annotations

import random
import time

from tests.fault.stage import ROUNDS, Stage, rounds
from tests.support.offline import fill
from tests.support.oracle import acknowledged
from tests.support.processes import wait_until

KILLS_A_RUN = 20 if ROUNDS else 2


def test_death_in_the_middle_of_a_commit(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=4, share=0.6):
        stage.renew()
        run = stage.new_run("mid-commit")
        steps = chance.choice((1, 2_000, 60_000))
        last = chance.choice(
            ("die before", "die after", f"die during {chance.uniform(0.0, 0.03):.4f}")
        )
        orders = ["die before"] * chance.randint(0, 1) + [last]
        spool = fill(stage.spools, run, steps)
        stage.faults.order("insert", *orders)
        with stage.sending(spool):
            for _ in orders:
                stage.service.wait_dead()
                stage.revive()
        stage.oracle.logged(run, 0, returned=steps)
        stage.judge()


def test_death_at_any_time(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=0.02):
        stage.renew()
        run = stage.new_run("kill-service")
        trainers = [
            stage.trainer(run, rank, 10_000_000, "--pause", "0.001", "--finish") for rank in (0, 1)
        ]
        for _ in range(KILLS_A_RUN):
            before = sum(acknowledged(stage.spools).values())
            wait_until(
                lambda before=before: sum(acknowledged(stage.spools).values()) > before,
                what="more is acknowledged: the service is under load again",
            )
            time.sleep(chance.uniform(0.0, 0.4))
            stage.service.kill()
            stage.revive()
        for trainer in trainers:
            trainer.stop_logging()
        for rank, trainer in enumerate(trainers):
            returned = trainer.join()
            assert trainer.lines[-1] == b"left 0"
            stage.oracle.logged(run, rank, returned=returned)
        stage.judge()
