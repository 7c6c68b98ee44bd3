"""SIGKILL of the service.

Scenario: two ranks log without a pause while the service commits one group after the other; it is
killed at a random moment and started again on the same ports and the same store.
Guarantees: after the last restart every point is stored exactly once; the trainers never notice.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import stepline
from tests.fault.conftest import ROUNDS
from tests.support.oracle import judge
from tests.support.processes import Trainer, stop_uploaders
from tests.support.service import Service

KILLS_A_RUN = 4
STEPS = 150_000


def test_nothing_is_lost_or_doubled(tmp_path: Path, chance: random.Random) -> None:
    spools = tmp_path / "spools"
    with Service(tmp_path / "store") as service:
        for round_ in range(-(-ROUNDS // KILLS_A_RUN)):
            run_id = f"kill-service-{round_}"
            trainers = [
                Trainer(service.grpc, spools, run_id, rank, STEPS, "--finish") for rank in (0, 1)
            ]
            for trainer in trainers:
                trainer.wait_for(b"ready")
            for _ in range(KILLS_A_RUN):
                time.sleep(chance.uniform(0.05, 0.8))
                service.kill()
                service.restart()
            for trainer in trainers:
                assert trainer.join() == STEPS
                assert trainer.lines[-1] == b"left 0"
            with stepline.connect(service.grpc) as client:
                for rank in (0, 1):
                    judge(client, run_id, rank, at_least=STEPS, at_most=STEPS)
        stop_uploaders(spools)
