"""SIGKILL of the training process.

Scenario: a trainer logs without a pause and reports each log() call after it returned; it is killed
at a random moment. Guarantees: every call that returned is stored exactly once; the call that the
kill interrupted is stored wholly or not at all.
"""

from __future__ import annotations

import random
import time

from tests.fault.stage import Stage, rounds
from tests.support.processes import wait_drained


def test_every_returned_call_survives(stage: Stage, chance: random.Random) -> None:
    for number in rounds(short=5, share=0.2):
        run, rank = stage.new_run("kill-trainer"), number % 2
        trainer = stage.trainer(run, rank, 10_000_000)
        time.sleep(chance.uniform(0.0, 0.3))
        returned = trainer.kill()
        wait_drained(stage.spools)
        stage.oracle.logged(run, rank, returned=returned, begun=returned + 1)
        stage.judge()
