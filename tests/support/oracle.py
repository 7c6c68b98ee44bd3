"""The one judge of conservation: what must be stored, computed from who logged it and when.

A value is a function of (rank, step, metric index), so any stored point can be checked without a
record of what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import stepline

METRICS = ("train/loss", "train/accuracy", "grad/norm")


def value(rank: int, step: int, index: int) -> float:
    """A double that no other (rank, step, index) shares, exact in its arithmetic."""
    return float((rank * 1_000_003 + step) * 8 + index) + 0.125


def values(rank: int, steps: npt.NDArray[np.int64], index: int) -> npt.NDArray[np.float64]:
    """`value` of many steps at once."""
    return ((rank * 1_000_003 + steps) * 8 + index).astype(np.float64) + 0.125


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of one rank: how many steps, over all metrics the same."""

    rank: int
    steps: int


def judge(
    client: stepline.Client, run_id: str, rank: int, *, at_least: int, at_most: int
) -> Verdict:
    """Checks that steps 0, 1, .. of one rank are stored exactly once each, with the right values.

    `at_least` is the number of calls known to have returned, `at_most` the number begun: what a
    kill interrupted may be there or not, but wholly, and in every metric alike.
    """
    counts = set()
    for index, metric in enumerate(METRICS):
        history = client.run(run_id).history(metric, rank=rank)
        steps = np.arange(len(history.step), dtype=np.int64)
        doubled = len(history.step) - len(np.unique(history.step))
        assert doubled == 0, f"rank {rank} {metric}: {doubled} points are stored twice"
        np.testing.assert_array_equal(
            history.step, steps, err_msg=f"rank {rank} {metric}: steps lost"
        )
        np.testing.assert_array_equal(history.value, values(rank, steps, index))
        counts.add(len(steps))
    assert len(counts) == 1, f"rank {rank}: a call was torn apart, steps by metric: {counts}"
    (found,) = counts
    assert at_least <= found <= at_most, (
        f"rank {rank}: {found} steps stored, but {at_least} calls had returned and {at_most} begun"
    )
    return Verdict(rank=rank, steps=found)
