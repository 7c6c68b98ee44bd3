"""Where lineage cuts the attempts of runs.

Kept cells are not read in parts. So where an attempt is cut when its points go, its cells are made
on both sides of the cut; a cut that comes later moves by up to a cell (see query/expired_cells.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from stepline_ingest.lineage import STEP_END, STEP_MIN
from stepline_ingest.store.contract import Param, Store

_CUTS = (
    "SELECT source, attempt, arraySort(arrayDistinct(arrayConcat("
    "groupArrayIf(first, first > {least:Int64}), groupArrayIf(last + 1, last < {most:Int64})"
    "))) AS cuts FROM raw_shown WHERE shown AND source IN {runs:Array(UInt64)} "
    "GROUP BY source, attempt HAVING notEmpty(cuts) ORDER BY source, attempt"
)
_RUNS = 1_000
"""That are asked for at a time."""

Cuts = dict[tuple[int, int], list[int]]


def read_cuts(store: Store, runs: Sequence[int]) -> Cuts:
    """The steps at which something else begins to show, in order, by run and attempt; without
    those that nothing cuts. Raises StoreError."""
    found: Cuts = {}
    for begin in range(0, len(runs), _RUNS):
        params: dict[str, Param] = {
            "runs": list(runs[begin : begin + _RUNS]),
            "least": STEP_MIN,
            "most": STEP_END - 1,
        }
        for run, attempt, cuts in store.query(_CUTS, params):
            assert isinstance(cuts, list)
            found[int(str(run)), int(str(attempt))] = [int(str(cut)) for cut in cuts]
    return found


def stretch_of(cuts: Cuts) -> str:
    """The expression for the number of cuts at or below a point's step."""
    if not cuts:
        return "0"
    cases = ", ".join(
        f"run = {run} AND attempt = {attempt}, arrayCount(c -> c <= step, [{_listed(steps)}])"
        for (run, attempt), steps in cuts.items()
    )
    return f"multiIf({cases}, 0)"


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(f"toInt64({step})" for step in steps)
