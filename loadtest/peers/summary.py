"""From many trials of one contender to one row."""

from __future__ import annotations

import statistics
from array import array
from typing import Any

from loadtest.peers.trial import Measured

QUANTILES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
ENOUGH = 1_000
"""Calls below which a p99.9 would be the maximum under another name."""


def of_calls(trials: list[Measured]) -> dict[str, Any]:
    """Microseconds of the calls of all rounds together, but for the first of each trial, in which
    some make their series; the rest are medians over the rounds."""
    calls = array("Q")
    for trial in trials:
        calls.extend(trial.latencies[1:] or trial.latencies)
    ordered = sorted(calls)
    row: dict[str, Any] = {
        name: ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e3
        for name, q in QUANTILES.items()
        if name != "p999_us" or len(ordered) >= ENOUGH
    }
    row["mean_us"] = sum(ordered) / len(ordered) / 1e3
    row["max_us"] = ordered[-1] / 1e3
    row["first_us"] = _median([trial.latencies[0] / 1e3 for trial in trials])
    row["calls"] = len(ordered)
    row["points"] = sum(trial.points for trial in trials)
    row["cpu_us_per_point"] = 1e6 * _median([t.cpu_seconds / t.points for t in trials])
    row["service_cpu_us_per_point"] = 1e6 * _median(
        [t.service_cpu_seconds / t.points for t in trials]
    )
    row["disk_bytes_per_point"] = _median([t.disk_bytes / t.points for t in trials])
    row["finish_seconds"] = _median([t.finish_seconds for t in trials])
    row["process_seconds"] = _median([t.process_seconds for t in trials])
    row["tree_seconds"] = _median([t.tree_seconds for t in trials])
    row["peak_mib"] = max(t.peak_bytes for t in trials) / 2**20
    row["outlived"] = sorted({name for trial in trials for name in trial.outlived})
    return _rounded(row)


def ratios(rows: dict[str, dict[str, Any]], metrics: tuple[int, ...]) -> dict[str, Any]:
    """How many times below wandb's p50, and below the best peer that survives SIGKILL whole, the
    p50 of Stepline lies; one entry for each width."""
    found: dict[str, Any] = {}
    for width in map(str, metrics):
        p50 = {
            name: row["log"][width]["p50_us"]
            for name, row in rows.items()
            if width in row.get("log", {}) and not row["floor"]
        }
        ours = p50.get("stepline")
        if ours is None:
            continue
        survivors = {
            name: value
            for name, value in p50.items()
            if not name.startswith("stepline") and _survives(rows[name])
        }
        entry: dict[str, Any] = {}
        if "wandb" in p50:
            entry["below_wandb"] = round(p50["wandb"] / ours, 1)
        if survivors:
            best = min(survivors, key=survivors.__getitem__)
            entry["best_survivor"] = best
            entry["below_best_survivor"] = round(survivors[best] / ours, 1)
        if "json" in rows and width in rows["json"].get("log", {}):
            entry["below_json"] = round(rows["json"]["log"][width]["p50_us"] / ours, 1)
        found[width] = entry
    return found


def _survives(row: dict[str, Any]) -> bool:
    """Nothing was lost in either kill."""
    kills = row.get("kill", {})
    return bool(kills) and all(kill["stored"] == kill["logged"] for kill in kills.values())


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Four significant digits: more would be noise."""
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in row.items()
    }
