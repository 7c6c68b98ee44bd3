"""Spools that are filled first and sent later, by this very process."""

from __future__ import annotations

import time
from pathlib import Path

import stepline
from stepline import _core
from tests.support.oracle import Oracle, row

PATIENCE = 120.0
"""Seconds; only ends a test that hangs."""


def fill(spools: Path, run_id: str, steps: int, *, rank: int = 0) -> Path:
    """Logs the oracle's values without any service; returns the spool."""
    run = stepline.init(
        project="fault",
        run_id=run_id,
        rank=rank,
        resume="allow",
        on_live="take_over",
        mode="offline",
        server="127.0.0.1:1",
        dir=spools,
    )
    for step in range(steps):
        run.log(row(rank, step), step=step)
    spool = run.finish().spool
    assert spool is not None
    return spool


def send(spool: Path, server: str) -> None:
    """Sends a spool, whatever the weather; fails when something is left.

    Each attempt is a drainer of its own, which takes the spool over and has not learnt to wait yet:
    so a service that was away is not waited for longer than it takes to come back.
    """
    end = time.monotonic() + PATIENCE
    seconds = 1.0
    while left := _core.drain(str(spool), server=server, timeout=seconds):
        assert time.monotonic() < end, f"not everything was sent: {left}"
        seconds *= 1.5


def fill_and_send(
    oracle: Oracle, spools: Path, server: str, run_id: str, steps: int, *, rank: int = 0
) -> None:
    send(fill(spools, run_id, steps, rank=rank), server)
    oracle.logged(run_id, rank, returned=steps)
