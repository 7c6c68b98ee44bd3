"""What a run has come to: what its user says, and what its metrics say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .runs import Metric


class RunSummary(Mapping[str, Any]):
    """Single values by name, as a table of runs shows them: what the run has set, and of each
    metric what `define_metric(summary=)` chose, its last value without a choice. What the run has
    set wins over a metric of that name.

    `metrics` has all that is known of each metric (`.min`, `.max`, `.mean`, `.first_value`,
    `.last_value`, `.best` and their steps), and `given` what the run has set.
    """

    def __init__(self, given: Mapping[str, Any], metrics: Mapping[str, Metric]) -> None:
        self.given = dict(given)
        self.metrics = dict(metrics)

    def __getitem__(self, name: str) -> Any:
        return self.given[name] if name in self.given else self.metrics[name].shown

    def __iter__(self) -> Iterator[str]:
        yield from self.given
        yield from (name for name in self.metrics if name not in self.given)

    def __len__(self) -> int:
        return len(self.given.keys() | self.metrics.keys())

    def __repr__(self) -> str:
        return f"RunSummary({dict(self)!r})"
