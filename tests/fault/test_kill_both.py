"""SIGKILL of everything at once, as when a host dies.

Scenario: service, uploader and trainer are killed in the same moment, at a random time; the service
comes back, and whoever comes next to the host sends what the dead trainer has left.
Guarantees: every call that returned is stored exactly once, the interrupted one wholly or not at
all, and what was acknowledged before the death is there after it.
"""

from __future__ import annotations

import random
import time

from stepline import _core
from tests.fault.stage import Stage, rounds
from tests.support.offline import PATIENCE
from tests.support.processes import stop_uploaders


def test_every_returned_call_survives(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=3, share=0.2):
        stage.renew()
        run = stage.new_run("kill-both")
        trainer = stage.trainer(run, 0, 10_000_000)
        if chance.random() < 0.5:
            order = chance.choice(("die before", "die after", "die during 0.005"))
            stage.faults.order("insert", order)
            stage.service.wait_dead()
        else:
            time.sleep(chance.uniform(0.0, 0.6))
            stage.service.kill()
        if chance.random() < 0.5:
            stop_uploaders(stage.spools)
            returned = trainer.kill()
        else:
            returned = trainer.kill()
            stop_uploaders(stage.spools)
        stage.revive()
        left = _core.drain(str(stage.spools), server=stage.service.grpc, timeout=PATIENCE)
        assert left == []
        stage.oracle.logged(run, 0, returned=returned, begun=returned + 1)
        stage.judge()
