"""Configs and summaries of runs as they are stored: to whoever lists runs they are text, which is
neither parsed nor written again."""

from __future__ import annotations

from collections.abc import Sequence

from stepline._core import siphash64
from stepline_ingest.json_texts import whole_text
from stepline_ingest.store.contract import Store

_SIZES = (
    "SELECT run_id, length(config) + length(summary) FROM raw_runs FINAL "
    "WHERE run IN {runs:Array(UInt64)}"
)
_TEXTS = "SELECT run_id, config, summary FROM raw_runs FINAL WHERE run IN {runs:Array(UInt64)}"


def read_texts(store: Store, run_ids: Sequence[str], most: int) -> dict[str, tuple[str, str]]:
    """(config, summary) by id, in the order of RUN_IDS: of as many of those that are there as MOST
    bytes hold, and of one at least. Raises StoreError."""
    if not run_ids:
        return {}
    rows = store.query(_SIZES, {"runs": [siphash64(run_id) for run_id in run_ids]})
    sizes = {str(run_id): int(str(size)) for run_id, size in rows}
    kept: list[str] = []
    left = most
    for run_id in run_ids:
        if run_id not in sizes:
            continue
        left -= sizes[run_id]
        if kept and left < 0:
            break
        kept.append(run_id)
    rows = store.query(_TEXTS, {"runs": [siphash64(run_id) for run_id in kept]}) if kept else []
    found = {str(run_id): texts for run_id, *texts in rows}
    return {
        run_id: (whole_text(str(found[run_id][0])), whole_text(str(found[run_id][1])))
        for run_id in kept
        if run_id in found
    }
