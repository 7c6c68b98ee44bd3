"""A service that is restarted in good order, and one that is replaced.

Scenario: under load, SIGTERM and a new process on the same store and ports, again and again; and
two services with a store of their own each, one after the other on one address.
Guarantees: a drained service ends with 0 and has acknowledged what it stored; nothing is lost or
doubled. Behind a changed store each point is in one of the two, and what the second one cannot get
any more it records as lost, in so many words.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import stepline
from stepline import _core
from tests.fault.stage import ROUNDS, Stage, rounds
from tests.support.oracle import METRICS, acknowledged
from tests.support.processes import Trainer, stop_uploaders, wait_drained, wait_until
from tests.support.service import Service

STEPS = 30_000 if ROUNDS else 10_000


def test_rolling_restarts_under_load(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=0.1):
        run = stage.new_run("rolling")
        trainers = [stage.trainer(run, rank, STEPS, "--finish") for rank in (0, 1)]
        for _ in range(3 if ROUNDS else 2):
            time.sleep(chance.uniform(0.0, 0.5))
            assert stage.service.terminate() == 0, stage.service.log_tail()
            stage.revive()
        for rank, trainer in enumerate(trainers):
            assert trainer.join() == STEPS
            assert trainer.lines[-1] == b"left 0"
            stage.oracle.logged(run, rank, returned=STEPS)
        stage.judge()


def test_a_service_with_another_store_on_the_same_address(tmp_path: Path, spools: Path) -> None:
    first = Service(tmp_path / "first")
    port = int(first.grpc.rsplit(":", 1)[1])
    trainer = Trainer(first.grpc, spools, "replaced", 0, 10_000_000, "--pause", "0.001")
    try:
        trainer.wait_for(b"ready")
        wait_until(lambda: bool(acknowledged(spools)), what="something was acknowledged")
        assert first.terminate() == 0
        with Service(tmp_path / "second", grpc_port=port) as second:
            already = trainer.returned
            wait_until(lambda: trainer.returned > already + 500, what="the trainer goes on")
            returned = trainer.kill()
            stop_uploaders(spools)
            _core.drain(str(spools), server=second.grpc, timeout=60)
            wait_drained(spools)
            new, lost = _steps(second)
        first.start()
        old, _ = _steps(first)
    finally:
        trainer.process.kill()
        first.stop()
    assert set(range(returned)) <= old | new, "a step is in neither store"
    assert max(old | new) <= returned
    assert not new & set(range(lost)), "what is recorded as lost is stored"
    assert set(range(lost)) <= old, "what the second store never got was acknowledged by the first"


def _steps(service: Service) -> tuple[set[int], int]:
    """The steps that are stored, in all metrics alike; how many were recorded as lost."""
    with stepline.connect(service.grpc) as client:
        rows = client.sql("SELECT step, count() FROM raw_points GROUP BY step").rows
        ((lost,),) = client.sql("SELECT max(last_seq) FROM raw_rejects").rows
    assert all(count == len(METRICS) for _, count in rows)
    return {step for step, _ in rows}, int(lost or 0)
