"""SIGKILL of the uploader process.

Scenario: the uploader of a host is killed at a random moment, twice, while a trainer logs; the
trainer starts another one by itself.
Guarantees: everything that was logged is stored exactly once, and finish() says that nothing is
left.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import stepline
from tests.fault.conftest import ROUNDS
from tests.support.oracle import judge
from tests.support.processes import Trainer, stop_uploaders, uploaders, wait_until
from tests.support.service import Service

STEPS = 30_000


def test_nothing_is_lost_or_doubled(tmp_path: Path, chance: random.Random) -> None:
    spools = tmp_path / "spools"
    with Service(tmp_path / "store") as service, stepline.connect(service.grpc) as client:
        for round_ in range(ROUNDS):
            run_id = f"kill-uploader-{round_}"
            trainer = Trainer(service.grpc, spools, run_id, 0, STEPS, "--finish")
            trainer.wait_for(b"ready")
            wait_until(lambda: bool(uploaders(spools)), what="the uploader has started")
            time.sleep(chance.uniform(0.0, 1.0))
            stop_uploaders(spools)
            assert trainer.join() == STEPS
            assert trainer.lines[-1] == b"left 0"
            judge(client, run_id, 0, at_least=STEPS, at_most=STEPS)
        stop_uploaders(spools)
