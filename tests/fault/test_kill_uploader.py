"""SIGKILL of the uploader process.

Scenario: the uploader of a host is killed at a random moment while a trainer logs; the trainer
starts another one by itself.
Guarantees: everything that was logged is stored exactly once, and finish() says that nothing is
left.
"""

from __future__ import annotations

import random
import time

from tests.fault.stage import Stage, rounds
from tests.support.processes import stop_uploaders, uploaders, wait_until

STEPS = 30_000


def test_nothing_is_lost_or_doubled(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=3, share=0.2):
        run = stage.new_run("kill-uploader")
        trainer = stage.trainer(run, 0, STEPS, "--finish")
        wait_until(lambda: bool(uploaders(stage.spools)), what="the uploader has started")
        time.sleep(chance.uniform(0.0, 1.0))
        stop_uploaders(stage.spools)
        assert trainer.join() == STEPS
        assert trainer.lines[-1] == b"left 0"
        stage.oracle.logged(run, 0, returned=STEPS)
        stage.judge()
