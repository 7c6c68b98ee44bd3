"""Runs that share a line, and how their lines become one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from stepline_ingest.errors import invalid
from stepline_ingest.run_record import RunRecord
from stepline_ingest.similar import MAX_LENGTH, closest

from .blocks import Array
from .quantiles import quantiles_over
from .request import ARGNONFINITE

Groups = Mapping[str, Sequence[str]]
"""What the runs of a group have in common, and their ids."""

_CONFIG = "config."
_FIELDS: Mapping[str, Callable[[RunRecord], Sequence[str]]] = {
    "group": lambda run: [run.group],
    "job_type": lambda run: [run.job_type],
    "tags": lambda run: run.tags or [""],
    "state": lambda run: [run.state],
    "project": lambda run: [run.project],
}
_MISSING = object()
_NEAR = 20_000
"""Keys among which the one is looked for that a wrong one may have meant."""
_LOOKED_AT = 200_000
"""Keys of all configs among which these are looked for."""
_SHOWN = 5
_LATEST = np.iinfo(np.int64).max


def groups_of(group_by: str, runs: Sequence[RunRecord]) -> Groups:
    """The groups in the order of what they have in common, numbers before texts, the runs that have
    nothing last. Raises ServiceError(INVALID_ARGUMENT) when that is all of them.
    """
    found: dict[tuple[int, float, str], list[str]] = {}
    field = _FIELDS.get(group_by)
    key = group_by.removeprefix(_CONFIG)
    for run in runs:
        values: Sequence[Any] = field(run) if field else [_looked_up(run.config, key)]
        for value in values:
            found.setdefault(_label(value), []).append(run.run_id)
    groups = {label: found[order, number, label] for order, number, label in sorted(found)}
    if not any(label for label in groups):
        raise _nothing_in_common(group_by, key, field is not None, runs)
    return groups


def _looked_up(config: Mapping[str, Any], key: str) -> Any:
    """The value of KEY as it stands, or along its dots."""
    if key in config:
        return config[key]
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def _label(value: Any) -> tuple[int, float, str]:
    """The text of a value, behind what it is ordered by."""
    if value is _MISSING or value == "":
        return 2, 0.0, ""
    if isinstance(value, str):
        return 1, 0.0, value
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return 0, min(max(value, -1e308), 1e308), text
    return 1, 0.0, text


def _nothing_in_common(
    group_by: str, key: str, is_field: bool, runs: Sequence[RunRecord]
) -> Exception:
    if is_field:
        return invalid(
            f"none of the {len(runs)} runs has {group_by!r} set: set it with init(), or group by "
            f"{', '.join(name for name in _FIELDS if name != group_by)} or the key of a config"
        )
    known = _known_keys(run.config for run in runs)
    near = closest(key, [*known, *_FIELDS], cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _examples(known)
    said = key if len(key) <= MAX_LENGTH else f"{key[:MAX_LENGTH]}.."
    return invalid(f"none of the {len(runs)} runs has {said!r} in its config; {hint}")


def _examples(known: Sequence[str]) -> str:
    if not known:
        return f"their configs have no short key: group by {', '.join(_FIELDS)}"
    more = ", .." if len(known) > _SHOWN else ""
    return f"there are {', '.join(map(repr, known[:_SHOWN]))}{more}"


def _known_keys(configs: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    found: dict[str, None] = {}
    keys = (key for config in configs for key in _keys(config))
    for key in islice(keys, _LOOKED_AT):
        if key:
            found[key] = None
        if len(found) >= _NEAR:
            break
    return list(found)


def _keys(config: Mapping[str, Any], prefix: str = "", depth: int = 4) -> Iterator[str]:
    """Each with those around it; empty for one that nobody looks for, as it is too long."""
    for name, value in config.items():
        if len(prefix) + len(name) > MAX_LENGTH:
            yield ""
        elif isinstance(value, Mapping) and depth:
            yield from _keys(value, f"{prefix}{name}.", depth - 1)
        else:
            yield f"{prefix}{name}"


@dataclass(frozen=True, slots=True)
class Joined:
    """The line of a group."""

    columns: Mapping[str, Array]
    quantiles: Sequence[Array]
    runs: Array
    """uint64: those with a finite value in the bucket."""


def joined(members: Sequence[Mapping[str, Array]], wanted: Sequence[float]) -> Joined:
    """MEMBERS are the columns of its runs, of buckets with the same width and origin, with the mean
    among them; each has points.

    Extremes and counts are over all points; mean, first and last are the mean over the runs of what
    each has. An extreme that several runs reach is that of the first step; on an axis of time a
    bucket lies where that of the first run does.
    """
    beside = _Beside(members)
    means = beside.column("mean", np.nan)
    columns: dict[str, Array] = {
        "x": beside.x,
        "count": beside.column("count", 0).sum(axis=1),
        "nonfinite": beside.column("nonfinite", 0).sum(axis=1),
    }
    for name in ("mean", "first", "last"):
        if name in beside.names:
            columns[name] = _mean(beside.column(name, np.nan))
    for name in ("min", "max"):
        if name in beside.names:
            columns |= beside.extreme(name)
    if ARGNONFINITE in beside.names:
        bad = beside.column("nonfinite", 0) > 0
        columns[ARGNONFINITE] = beside.first_step(ARGNONFINITE, bad)
    if "at" in beside.names:
        columns["at"] = beside.column("at", _LATEST).min(axis=1)
    if "widths" in beside.names:
        columns["widths"] = beside.column("widths", 0).max(axis=1)
    runs = np.count_nonzero(~np.isnan(means), axis=1).astype(np.uint64)
    return Joined(columns, quantiles_over(means, wanted), runs)


class _Beside:
    """The columns of the runs beside each other: tables of shape (buckets, runs)."""

    def __init__(self, members: Sequence[Mapping[str, Array]]) -> None:
        self._members = members
        self.names = members[0].keys()
        self.x: Array = np.unique(np.concatenate([member["x"] for member in members]))
        self._places = [np.searchsorted(self.x, member["x"]) for member in members]

    def column(self, name: str, missing: float) -> Array:
        table = np.full((len(self.x), len(self._members)), missing, self._members[0][name].dtype)
        for number, (member, place) in enumerate(zip(self._members, self._places, strict=True)):
            table[place, number] = member[name]
        return table

    def extreme(self, name: str) -> dict[str, Array]:
        """The minimum or maximum over the runs, and its step."""
        values = self.column(name, np.nan)
        known = ~np.isnan(values)
        worst = np.inf if name == "min" else -np.inf
        filled = np.where(known, values, worst)
        found = filled.min(axis=1) if name == "min" else filled.max(axis=1)
        reached = known & (values == found[:, np.newaxis])
        step = f"arg{name}"
        return {
            name: np.where(known.any(axis=1), found, np.nan),
            step: self.first_step(step, reached),
        }

    def first_step(self, name: str, among: Array) -> Array:
        """The least of the steps NAME where AMONG is true; x where it never is."""
        steps = np.where(among, self.column(name, 0), _LATEST).min(axis=1)
        found: Array = np.where(among.any(axis=1), steps, self.x)
        return found


def _mean(values: Array) -> Array:
    """Of each row, of what is finite."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=1), 1)
    # Divided first: a sum of values could be beyond all measure.
    total = np.where(known, values / count[:, np.newaxis], 0).sum(axis=1)
    found: Array = np.where(known.any(axis=1), total, np.nan)
    return found
