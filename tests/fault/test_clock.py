"""A wall clock that jumps.

Scenario: the clock of the service goes months forth and back between and within the batches of a
writer, so that its points lie in several partitions, in no order of time.
Guarantees: every point is stored exactly once; the mark of a writer does not depend on the clock.
"""

from __future__ import annotations

import random

from tests.fault.stage import Stage, rounds
from tests.support.offline import fill
from tests.support.processes import wait_drained, wait_until

MONTH = 30 * 86_400.0


def test_months_forth_and_back(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=0.05):
        run = stage.new_run("clock")
        trainer = stage.trainer(run, 0, 10_000_000, "--pause", "0.001")
        for months in (0, 7, -5, chance.randint(-60, 60)):
            stage.faults.set_clock(months * MONTH)
            _wait_for_more(stage, run)
            if chance.random() < 0.5:
                stage.service.kill()
                stage.revive()
        returned = trainer.kill()
        wait_drained(stage.spools)
        stage.oracle.logged(run, 0, returned=returned, begun=returned + 1)
        stage.judge()


def test_a_jump_between_a_lost_answer_and_the_repetition(stage: Stage) -> None:
    """The repeated block goes to the partition of the first one, or it would be stored twice."""
    run = stage.new_run("clock-repeat")
    spool = fill(stage.spools, run, 500)
    stage.faults.order("insert", "fail after", "pass")
    with stage.sending(spool):
        wait_until(lambda: stage.faults.left() < 2, what="the first answer was lost")
        stage.faults.set_clock(9 * MONTH)
    stage.oracle.logged(run, 0, returned=500)
    stage.judge()


def _wait_for_more(stage: Stage, run: str) -> None:
    """Until something is stored that was not there yet."""
    query = f"SELECT count() FROM raw_points WHERE run = sipHash64('{run}')"
    with stage.connect() as client:
        before = client.sql(query).rows[0][0]
        wait_until(
            lambda: client.sql(query).rows[0][0] > before,
            what="points are stored under this clock",
        )
