"""What is different between runs: their configs, what they came to, and their curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .chart import Chart
from .columns import need
from .runs import Metric, RunInfo

if TYPE_CHECKING:
    import pandas

MISSING = None
"""What stands where a run has no value."""
SYSTEM = "system/"


@dataclass(frozen=True, slots=True)
class Row:
    """A key and its value in each run; None where a run has none."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric and what each run shows of it; None where a run has not logged it."""

    name: str
    metrics: tuple[Metric | None, ...]

    @property
    def shown(self) -> tuple[float | None, ...]:
        """The value of each run that stands for the metric."""
        return tuple(None if metric is None else metric.shown for metric in self.metrics)

    @property
    def best(self) -> int | None:
        """The index of the run that is best by the goal of the metric; None without a goal."""
        found = next(metric for metric in self.metrics if metric is not None)
        finite = {
            index: value
            for index, value in enumerate(self.shown)
            if value is not None and math.isfinite(value)
        }
        if not found.goal or len(finite) < 2:
            return None
        choose = min if found.goal == "minimize" else max
        return choose(finite, key=finite.__getitem__)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Of two or more runs, in the order in which they were named."""

    runs: tuple[RunInfo, ...]
    config: tuple[Row, ...]
    """The keys whose values differ, with dots between nested ones."""
    same: int
    """How many keys of the config are the same in all."""
    summary: tuple[Row, ...]
    """What the runs have set themselves."""
    metrics: tuple[MetricRow, ...]
    """In the order of names, without those that `define_metric` hides."""
    _chart: Callable[..., list[Chart]] = field(repr=False)

    def charts(self, metric: str, points: int = 1000, **options: Any) -> list[Chart]:
        """The curve of METRIC in each run that has it: `Client.chart` of all of them."""
        return self._chart(
            runs=[run.id for run in self.runs], metrics=[metric], points=points, **options
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas.DataFrame with a row for each run, and columns (what, key) of "config",
        "summary" and "metrics". Raises ImportError when pandas is not installed."""
        library = need("pandas", "to_pandas")
        columns = {
            **{("config", row.key): row.values for row in self.config},
            **{("summary", row.key): row.values for row in self.summary},
            **{("metrics", row.name): row.shown for row in self.metrics},
        }
        index = library.Index([run.id for run in self.runs], name="run")
        frame = library.DataFrame(dict(columns), index=index)
        if columns:
            frame.columns = library.MultiIndex.from_tuples(columns)
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves, as JSON can hold it (but for NaN)."""
        return {
            "runs": [
                {"id": run.id, "name": run.name, "project": run.project, "state": run.state}
                for run in self.runs
            ],
            "config": {row.key: list(row.values) for row in self.config},
            "same_config_keys": self.same,
            "summary": {row.key: list(row.values) for row in self.summary},
            "metrics": {
                row.name: [None if m is None else m.statistics() for m in row.metrics]
                for row in self.metrics
            },
        }

    def likely(self) -> str | None:
        """The metric that people look at first: one that all runs have before others, a loss
        before others, one with a goal before others."""
        every = [
            row for row in self.metrics if any(m is not None and m.count > 1 for m in row.metrics)
        ]
        if not every:
            return None

        def rank(row: MetricRow) -> tuple[bool, bool, bool, bool, str]:
            return (
                row.name.startswith(SYSTEM),
                None in row.metrics,
                row.name.rpartition("/")[2] != "loss",
                not any(m is not None and m.goal for m in row.metrics),
                row.name,
            )

        return min(every, key=rank).name


def compared(
    runs: Sequence[RunInfo],
    metrics: Sequence[Mapping[str, Metric]],
    chart: Callable[..., list[Chart]],
) -> Comparison:
    """Of RUNS and what each shows of its METRICS, by name."""
    config = _rows([flattened(run.config) for run in runs])
    names = sorted({name for each in metrics for name in each})
    return Comparison(
        runs=tuple(runs),
        config=tuple(row for row in config if _differ(row.values)),
        same=sum(not _differ(row.values) for row in config),
        summary=tuple(_rows([flattened(run.summary) for run in runs])),
        metrics=tuple(MetricRow(name, tuple(each.get(name) for each in metrics)) for name in names),
        _chart=chart,
    )


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of nested dicts, by their keys with dots between. Of two with one address the one
    that is nested deeper counts, as it does in filters."""
    found: dict[str, tuple[int, Any]] = {}
    stack: list[tuple[int, str, Any]] = [(0, "", values)]
    while stack:
        depth, path, value = stack.pop()
        if isinstance(value, dict) and (value or not depth):
            for key, inner in reversed(value.items()):
                name = key.replace("/", ".")
                stack.append((depth + 1, f"{path}.{name}" if depth else name, inner))
        elif path not in found or depth >= found[path][0]:
            found[path] = depth, value
    return {path: value for path, (_, value) in found.items()}


def _rows(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each key of any of RECORDS, in the order in which they come."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    return [Row(key, tuple(record.get(key, MISSING) for record in records)) for key in keys]


def _differ(values: Sequence[Any]) -> bool:
    first = values[0]
    return any(
        value != first or isinstance(value, bool) != isinstance(first, bool) for value in values
    )
