"""SIGKILL of the training process.

Scenario: a trainer logs without a pause and reports each log() call after it returned; it is killed
at a random moment. Guarantees: every call that returned is stored exactly once; the call that the
kill interrupted is stored wholly or not at all.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import stepline
from tests.fault.conftest import ROUNDS
from tests.support.oracle import judge
from tests.support.processes import Trainer, stop_uploaders, wait_drained
from tests.support.service import Service


def test_every_returned_call_survives(tmp_path: Path, chance: random.Random) -> None:
    spools = tmp_path / "spools"
    with Service(tmp_path / "store") as service, stepline.connect(service.grpc) as client:
        for round_ in range(ROUNDS):
            run_id = f"kill-trainer-{round_}"
            trainer = Trainer(service.grpc, spools, run_id, round_ % 2, 10_000_000)
            trainer.wait_for(b"ready")
            time.sleep(chance.uniform(0.0, 0.3))
            returned = trainer.kill()
            wait_drained(spools)
            judge(client, run_id, round_ % 2, at_least=returned, at_most=returned + 1)
        stop_uploaders(spools)
