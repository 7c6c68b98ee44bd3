"""What the service says about a run and its metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .config import RESERVED


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A run in a list of runs."""

    id: str
    project: str
    name: str
    """The name, or the id of a run without one."""
    state: str
    """running | finished | failed | crashed | preempted"""
    config: dict[str, Any]
    summary: dict[str, Any]
    tags: tuple[str, ...]
    group: str
    job_type: str
    notes: str
    attempts: int
    """How often it was started."""
    world_size: int
    created: datetime
    updated: datetime
    exit_code: int | None
    """None while it is running."""
    fork: str = ""
    """What it was forked from, as RUN_ID@STEP; empty for nothing."""
    error_type: str = ""
    """Of the exception that ended its newest attempt; empty for none."""
    error_message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    """Of the columns that were asked for; None where the run has no value."""

    @classmethod
    def from_reply(cls, run: Mapping[str, Any], columns: Sequence[str] = ()) -> RunInfo:
        """Of a Run message as the extension gives it; COLUMNS are those that were asked for."""
        config = json.loads(run["config_json"] or "{}")
        return cls(
            id=run["run_id"],
            project=run["project"],
            name=run["name"] or run["run_id"],
            state=run["state"],
            config={key: value for key, value in config.items() if key != RESERVED},
            summary=json.loads(run["summary_json"] or "{}"),
            tags=tuple(run["tags"]),
            group=run["group"],
            job_type=run["job_type"],
            notes=run["notes"],
            attempts=run["attempts"],
            world_size=run["world_size"],
            created=_moment(run["created_ms"]),
            updated=_moment(run["updated_ms"]),
            exit_code=run.get("exit_code"),
            fork=f"{run['fork_run_id']}@{run['fork_step']}" if run.get("fork_run_id") else "",
            error_type=run.get("error_type", ""),
            error_message=run.get("error_message", ""),
            values=dict(zip(columns, json.loads(run.get("columns_json") or "[]"), strict=False)),
        )


class Runs(list[RunInfo]):
    """A page of runs."""

    def __init__(self, runs: Iterable[RunInfo], total: int) -> None:
        super().__init__(runs)
        self.total = total
        """Runs on all pages."""


@dataclass(frozen=True, kw_only=True)
class RunGroup:
    """Runs that have the same values of the fields that were grouped by."""

    values: tuple[Any, ...]
    """None where they have none."""
    count: int
    filter: str
    """What they meet, and no other run."""

    @classmethod
    def from_reply(cls, group: Mapping[str, Any]) -> RunGroup:
        """Of a RunGroup message as the extension gives it."""
        values = tuple(json.loads(group["values_json"]))
        return cls(values=values, count=group["count"], filter=group["filter"])


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project and how much there is of it."""

    name: str
    runs: int
    running: int
    """Runs that go on."""
    created: datetime
    updated: datetime
    """When a run of it last changed."""

    @classmethod
    def from_reply(cls, project: Mapping[str, Any]) -> Project:
        """Of a Project message as the extension gives it."""
        return cls(
            name=project["name"],
            runs=project["runs"],
            running=project["running"],
            created=_moment(project["created_ms"]),
            updated=_moment(project["updated_ms"]),
        )


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """A key of configs or summaries, as it is written in a filter."""

    key: str
    runs: int
    """Runs that have it; of those, how many have a number, text, true or false, a list:"""
    numbers: int
    texts: int
    flags: int
    lists: int
    min: float
    """The range of its numbers; NaN without one."""
    max: float
    live: bool
    """A metric, whose values the service computes from points."""

    @classmethod
    def from_reply(cls, key: Mapping[str, Any]) -> RunKey:
        """Of a RunKey message as the extension gives it."""
        return cls(**{name: key[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of a run over all its ranks."""

    name: str
    count: int
    """Points."""
    ranks: int
    first_step: int
    last_step: int
    last_value: float
    """At `last_step`, of the lowest rank that has one."""
    min: float
    """Over finite values; NaN when there is none."""
    max: float
    nonfinite: int
    """Points that are NaN or infinite."""
    mean: float = math.nan
    """Over finite values, as `min` and `max`."""
    first_value: float = math.nan
    """At `first_step`, of the lowest rank that has one."""
    min_step: int = 0
    """The earliest step of the least value, and of the greatest."""
    max_step: int = 0
    runs: int = 1
    """In how many of the runs that were asked for it is."""
    x: str = ""
    """What `define_metric()` said of it; empty where it said nothing."""
    goal: str = ""
    unit: str = ""
    summary: str = ""
    hidden: bool = False

    @property
    def best(self) -> float:
        """By its goal; NaN without one."""
        return {"minimize": self.min, "maximize": self.max}.get(self.goal, math.nan)

    @property
    def best_step(self) -> int | None:
        """Where that was."""
        return {"minimize": self.min_step, "maximize": self.max_step}.get(self.goal)

    @property
    def shown(self) -> float:
        """What stands for the metric in a table of runs: its last value, unless
        `define_metric(summary=)` chose another one."""
        kinds = {"first": self.first_value, "min": self.min, "max": self.max, "mean": self.mean}
        return {**kinds, "best": self.best}.get(self.summary, self.last_value)

    def statistics(self) -> dict[str, Any]:
        """Its values and their steps."""
        return {
            "shown": self.shown,
            "last": self.last_value,
            "last_step": self.last_step,
            "first": self.first_value,
            "first_step": self.first_step,
            "min": self.min,
            "min_step": self.min_step,
            "max": self.max,
            "max_step": self.max_step,
            "mean": self.mean,
            "best": self.best,
            "best_step": self.best_step,
            "count": self.count,
            "nonfinite": self.nonfinite,
        }

    @classmethod
    def from_reply(cls, metric: Mapping[str, Any]) -> Metric:
        """Of a Metric message as the extension gives it."""
        said = {**metric, **metric.get("definition", {})}
        return cls(**{name: said[name] for name in cls.__dataclass_fields__ if name in said})


@dataclass(frozen=True, kw_only=True)
class ConfigChange:
    """A key of a config that got another value."""

    time: datetime
    attempt: int
    """The one that was the newest then."""
    who: str
    """The name of the API key; empty where none was asked for."""
    key: str
    """With dots between nested keys."""
    before: Any
    """None where there was no value."""
    after: Any

    @classmethod
    def from_reply(cls, change: Mapping[str, Any]) -> ConfigChange:
        """Of a ConfigChange message as the extension gives it."""
        return cls(
            time=_moment(change["time_ms"]),
            attempt=change["attempt"],
            who=change["who"],
            key=change["key"],
            before=json.loads(change["before_json"] or "null"),
            after=json.loads(change["after_json"] or "null"),
        )


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, tz=timezone.utc)
