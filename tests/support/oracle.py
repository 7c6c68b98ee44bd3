"""The one judge of the fault tests: what must be stored, computed from who logged it and when.

A value is a function of (rank, step, metric index), and a trainer logs its steps 0, 1, .. with the
sequences 1, 2, .. So any stored point can be judged alone, without a record of what was sent:

- conservation: every call for which `log()` returned is stored, in every metric;
- integrity: each point has the value and the sequence that its rank and step say;
- no invention: no other rank, metric or step is there, and no call that was not begun;
- no doubles: (writer, sequence, metric) is there once;
- honesty: nothing was rejected behind anybody's back, and nothing is missing that was acknowledged.

Liveness is `wait_drained`: after the weather has cleared, the spools drain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import stepline
from stepline import _core

METRICS = ("train/loss", "train/accuracy", "grad/norm")
_IDS = {_core.siphash64(metric): index for index, metric in enumerate(METRICS)}

_SERIES = """
SELECT run, rank, metric, count() AS points, uniqExact(writer) AS writers,
    uniqExact(seq) AS seqs, min(step) AS first, max(step) AS last,
    countIf(value != toFloat64((toInt64(rank) * 1000003 + step) * 8
        + transform(metric, [{ids}], [{indexes}], -1)) + 0.125) AS wrong,
    countIf(toInt64(seq) != step + 1) AS displaced
FROM raw_points WHERE run IN ({runs}) GROUP BY run, rank, metric
"""
_REJECTS = "SELECT count(), any(reason) FROM raw_rejects WHERE run IN ({runs})"
_MARKS = """
SELECT toString(writer), max(seq) FROM raw_points
WHERE writer IN (SELECT toUInt128(arrayJoin([{writers}]))) GROUP BY writer
"""


def value(rank: int, step: int, index: int) -> float:
    """A double that no other (rank, step, index) shares, exact in its arithmetic."""
    return float((rank * 1_000_003 + step) * 8 + index) + 0.125


def values(rank: int, steps: npt.NDArray[np.int64], index: int) -> npt.NDArray[np.float64]:
    """`value` of many steps at once."""
    return ((rank * 1_000_003 + steps) * 8 + index).astype(np.float64) + 0.125


def row(rank: int, step: int) -> dict[str, float]:
    """What a rank logs at a step."""
    return {metric: value(rank, step, index) for index, metric in enumerate(METRICS)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found of one rank: how many steps, over all metrics the same."""

    rank: int
    steps: int


@dataclass(frozen=True)
class _Calls:
    """What a rank is known to have done: calls that returned, and calls that it may have begun."""

    returned: int
    begun: int


class Oracle:
    """Is told what was logged and judges all of it at once, from the stored rows."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[int, _Calls]] = {}

    def logged(self, run_id: str, rank: int, *, returned: int, begun: int | None = None) -> None:
        """RANK has logged the steps 0 .. RETURNED - 1. What a kill interrupted, up to BEGUN, may be
        there or not, but wholly, and in every metric alike."""
        begun = returned if begun is None else begun
        self._runs.setdefault(run_id, {})[rank] = _Calls(returned, begun)

    def judge(self, client: stepline.Client) -> int:
        """Checks every run that it was told of, and forgets them; returns the stored points."""
        runs, self._runs = self._runs, {}
        ids = {_core.siphash64(run_id): run_id for run_id in runs}
        among = ", ".join(map(str, ids))
        query = _SERIES.format(
            runs=among, ids=", ".join(map(str, _IDS)), indexes=", ".join(map(str, _IDS.values()))
        )
        found: dict[tuple[str, int], dict[str, int]] = {}
        points = 0
        for run, rank, metric, count, writers, seqs, first, last, wrong, displaced in client.sql(
            query
        ).rows:
            where = f"run {ids[run]} rank {rank} metric {metric}"
            assert metric in _IDS, f"{where}: nobody logged this metric"
            assert rank in runs[ids[run]], f"{where}: nobody logged as this rank"
            assert writers == 1, f"{where}: {writers} writers"
            assert count == seqs, f"{where}: {count - seqs} points are stored twice"
            assert wrong == 0, f"{where}: {wrong} points have another value than was logged"
            assert displaced == 0, f"{where}: {displaced} points have another sequence"
            assert (first, last) == (0, count - 1), (
                f"{where}: {count} steps from {first} to {last}: there are holes"
            )
            found.setdefault((ids[run], rank), {})[METRICS[_IDS[metric]]] = count
            points += count
        for run_id, ranks in runs.items():
            for rank, calls in ranks.items():
                steps = found.get((run_id, rank), {})
                _whole(f"run {run_id} rank {rank}", steps, calls)
        ((rejects, reason),) = client.sql(_REJECTS.format(runs=among)).rows
        assert rejects == 0, f"{rejects} batches were rejected: {reason}"
        return points


def _whole(where: str, steps: dict[str, int], calls: _Calls) -> None:
    counts = {steps.get(metric, 0) for metric in METRICS}
    assert len(counts) == 1, f"{where}: a call was torn apart, steps by metric: {steps}"
    (count,) = counts
    assert calls.returned <= count <= calls.begun, (
        f"{where}: {count} steps are stored, but {calls.returned} calls had returned and "
        f"{calls.begun} were begun"
    )


def acknowledged(spools: Path) -> dict[str, int]:
    """The highest acknowledged sequence of each spool, by writer."""
    return {
        str(int(status["writer"], 16)): status["acked_seq"]
        for status in _core.spool_scan(str(spools))
        if status["acked_seq"]
    }


def judge_acknowledged(client: stepline.Client, promised: dict[str, int]) -> None:
    """What `acknowledged` said before the service died is there after it has come back."""
    if not promised:
        return
    marks = dict(client.sql(_MARKS.format(writers=", ".join(map(repr, promised)))).rows)
    for writer, acked in promised.items():
        assert marks.get(writer, 0) >= acked, (
            f"writer {writer}: sequence {acked} was acknowledged, {marks.get(writer, 0)} is stored"
        )


def judge(
    client: stepline.Client, run_id: str, rank: int, *, at_least: int, at_most: int
) -> Verdict:
    """Checks that steps 0, 1, .. of one rank are read back exactly once each, with the right
    values.

    `at_least` is the number of calls known to have returned, `at_most` the number begun: what a
    kill interrupted may be there or not, but wholly, and in every metric alike.
    """
    found = {}
    for index, metric in enumerate(METRICS):
        history = client.run(run_id).history(metric, rank=rank)
        steps = np.arange(len(history.step), dtype=np.int64)
        doubled = len(history.step) - len(np.unique(history.step))
        assert doubled == 0, f"rank {rank} {metric}: {doubled} points are stored twice"
        np.testing.assert_array_equal(
            history.step, steps, err_msg=f"rank {rank} {metric}: steps lost"
        )
        np.testing.assert_array_equal(history.value, values(rank, steps, index))
        found[metric] = len(steps)
    _whole(f"run {run_id} rank {rank}", found, _Calls(at_least, at_most))
    return Verdict(rank=rank, steps=found[METRICS[0]])
