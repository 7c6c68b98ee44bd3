"""Processes that stand still (SIGSTOP) and go on (SIGCONT).

Scenario: service, uploader or trainer stand still while the others go on, in the long version for
longer than the client waits for an answer.
Guarantees: everything is stored exactly once; a stopped uploader keeps the spool from nobody for
ever.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.fault.stage import ROUNDS, Stage, rounds
from tests.support.processes import uploaders, wait_until

STEPS = 30_000
LONGER_THAN_A_CALL = 12.0
"""The client gives up a call after 10 s."""


@pytest.mark.parametrize("who", ["service", "uploader", "trainer"])
def test_everything_is_stored_exactly_once(stage: Stage, chance: random.Random, who: str) -> None:
    for number in rounds(short=1, share=0.02):
        run = stage.new_run(f"stop-{who}")
        trainer = stage.trainer(run, 0, STEPS, "--finish")
        wait_until(lambda: bool(uploaders(stage.spools)), what="the uploader has started")
        time.sleep(chance.uniform(0.0, 0.3))
        pids = {
            "service": [stage.service.pid],
            "uploader": [process.pid for process in uploaders(stage.spools)],
            "trainer": [trainer.process.pid],
        }[who]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(LONGER_THAN_A_CALL if ROUNDS and number == 0 else chance.uniform(0.3, 1.0))
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert trainer.join() == STEPS
        assert trainer.lines[-1] == b"left 0"
        stage.oracle.logged(run, 0, returned=STEPS)
        stage.judge()
