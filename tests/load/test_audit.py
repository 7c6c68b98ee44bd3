"""The audit finds what is lost, doubled, changed or invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stepline
from loadtest import values
from loadtest.audit import Expected, audit
from tests.support.processes import stop_uploaders
from tests.support.service import Service

ROWS, METRICS = 20, 3


def log(service: Service, spools: Path, run_id: str, steps: list[int], *, wrong: int = 0) -> None:
    """Logs STEPS; the value of step WRONG is another one."""
    run = stepline.init(project="audit", run_id=run_id, server=service.grpc, dir=spools)
    table = values.matrix(np.array(steps, dtype=np.int64), METRICS)
    for step, row in zip(steps, table.tolist(), strict=True):
        row[1] += step == wrong
        run.log(dict(zip(values.names(METRICS), row, strict=True)), step)
    assert run.finish(timeout=60).left == 0
    stop_uploaders(spools)


@pytest.mark.parametrize(
    ("name", "steps", "wrong", "sound"),
    [
        ("whole", list(range(1, ROWS + 1)), 0, True),
        ("lost", [*range(1, 7), *range(8, ROWS + 1)], 0, False),
        ("doubled", [*range(1, ROWS), 5], 0, False),
        ("changed", list(range(1, ROWS + 1)), 7, False),
    ],
)
def test_audit(
    name: str, steps: list[int], wrong: int, sound: bool, service: Service, tmp_path: Path
) -> None:
    log(service, tmp_path / "spools", name, steps, wrong=wrong)
    verdict = audit(service.grpc, name, [Expected(rank=0, rows=ROWS, metrics=METRICS)])
    assert verdict.sound == sound, str(verdict)


def test_audit_finds_what_was_invented(service: Service, tmp_path: Path) -> None:
    log(service, tmp_path / "spools", "invented", list(range(1, ROWS + 1)))
    verdict = audit(service.grpc, "invented", [])
    assert not verdict.sound
