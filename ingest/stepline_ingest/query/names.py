"""Names of metrics: those of a run, and those that a mistyped one may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from stepline._core import siphash64
from stepline_ingest.store.contract import Param, Setting, Store

_LISTED = 100_000
"""Names among which the nearest ones are looked for."""
_NAMES = (
    "SELECT DISTINCT name FROM raw_metrics WHERE run = {run:UInt64} "
    "ORDER BY name LIMIT {limit:UInt64}"
)
_BY_PREFIX = (
    "SELECT DISTINCT metric, name FROM raw_metrics "
    "WHERE run = {run:UInt64} AND startsWith(name, {prefix:String}) ORDER BY name"
)
_BY_PATTERN = (
    "SELECT DISTINCT metric, name FROM raw_metrics "
    "WHERE run = {run:UInt64} AND match(name, {pattern:String}) ORDER BY name"
)


class UnknownMetricsError(Exception):
    """None of METRICS has points in any of the runs."""

    def __init__(self, run_ids: Sequence[str], metrics: Sequence[str]) -> None:
        super().__init__(f"no points of {metrics} in {run_ids}")
        self.run_ids = run_ids
        self.metrics = metrics


def metric_names(
    store: Store, run_id: str, prefix: str, limits: Mapping[str, Setting]
) -> dict[int, str]:
    """The names of a run that begin with PREFIX, in order, by their hash."""
    params: dict[str, Param] = {"run": siphash64(run_id), "prefix": prefix}
    return _by_id(store.query(_BY_PREFIX, params, limits))


def matching_names(
    store: Store, run_id: str, patterns: Sequence[str], limits: Mapping[str, Setting]
) -> dict[int, str]:
    """The names of a run that match one of PATTERNS, in order, by their hash; all without one."""
    if not patterns:
        return metric_names(store, run_id, "", limits)
    params: dict[str, Param] = {"run": siphash64(run_id), "pattern": pattern_of(patterns)}
    return _by_id(store.query(_BY_PATTERN, params, limits))


def pattern_of(patterns: Sequence[str]) -> str:
    """The regular expression of names that match one of PATTERNS, where * stands for any characters
    and ? for one.
    """
    wild = {"*": ".*", "?": "."}
    each = ("".join(wild.get(c) or re.escape(c) for c in pattern) for pattern in patterns)
    return f"(?s)^(?:{'|'.join(each)})$"


def _by_id(found: Sequence[tuple[object, ...]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for metric, name in found:
        assert isinstance(metric, int)
        assert isinstance(name, str)
        names[metric] = name
    return names


def unknown_metrics_text(
    store: Store, error: UnknownMetricsError, limits: Mapping[str, Setting]
) -> str:
    """What to tell who asked: the nearest names of the first run, and how to list all."""
    run_id, wanted = error.run_ids[0], error.metrics[0]
    found = store.query(_NAMES, {"run": siphash64(run_id), "limit": _LISTED}, limits)
    names = [name for (name,) in found if isinstance(name, str)]
    what = (
        f"metric {wanted!r}"
        if len(error.metrics) == 1
        else f"none of the {len(error.metrics)} metrics"
    )
    where = f"run {run_id}" if len(error.run_ids) == 1 else f"any of the {len(error.run_ids)} runs"
    verb = "has no points in" if len(error.metrics) == 1 else "has points in"
    if not names:
        return (
            f"{what} {verb} {where}; nothing is stored there yet: "
            "wait for the uploader, or check the run"
        )
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{what} {verb} {where}; {hint}`stepline metrics {run_id}` lists its {len(names)} names"
