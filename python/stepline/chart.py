"""One line of a chart: buckets of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from .columns import Columns, Float64, Int64, UInt64, float64, int64, uint64

Kind = Literal["step", "time", "relative", "metric"]
"""Of an x axis. Time and relative time are in milliseconds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chart(Columns):
    """One metric of one run, of one rank or as a band over all ranks; arrays of shape (buckets,).

    `min`, `max`, `first` and `last` of each bucket draw the same line as all of its points would;
    `mean` is the line to read. They are taken over the finite values of a bucket, and are NaN where
    it has none.
    """

    run_id: str
    metric: str
    rank: int | None
    """None for a band over all ranks."""
    bucket_width: int
    """Steps a bucket; buckets begin at multiples of it."""
    tier_width: int
    """Steps a bucket of the rollup that was read; 0 when the points themselves were."""
    kind: Kind = "step"
    """What `x` counts."""
    axis: str = "step"
    """The same, or the name of the metric."""
    x: Int64 | Float64 = field(repr=False)
    """Where the bucket lies on the axis. Steps: its first one, int64. Time: when its first point
    was logged, int64, milliseconds since the epoch; relative: since the run began. A metric: its
    last finite value up to the end of the bucket, float64.
    """
    step: Int64 = field(repr=False)
    """First step of the bucket."""
    min: Float64 = field(repr=False)
    max: Float64 = field(repr=False)
    mean: Float64 = field(repr=False)
    first: Float64 = field(repr=False)
    last: Float64 = field(repr=False)
    count: UInt64 = field(repr=False)
    """All points of the bucket."""
    nonfinite: UInt64 = field(repr=False)
    """Those of them that are NaN or infinite."""
    argmin: Int64 = field(repr=False)
    """The step of the minimum."""
    argmax: Int64 = field(repr=False)
    """The step of the maximum."""

    def __len__(self) -> int:
        return len(self.x)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """x, min, max, mean, first, last, count, nonfinite, argmin, argmax, step."""
        names = (
            "x",
            "min",
            "max",
            "mean",
            "first",
            "last",
            "count",
            "nonfinite",
            "argmin",
            "argmax",
            "step",
        )
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_line(cls, line: Mapping[str, Any], kind: Kind = "step", axis: str = "step") -> Chart:
        """Of a ChartLine as the extension gives it: columns as bytes."""
        step = int64(line["x"])
        return cls(
            run_id=line["run_id"],
            metric=line["metric"],
            rank=line.get("rank"),
            bucket_width=line["bucket_width"],
            tier_width=line["tier_width"],
            kind=kind,
            axis=axis,
            x=step if kind == "step" else _places(kind, line["at"]),
            step=step,
            min=float64(line["min"]),
            max=float64(line["max"]),
            mean=float64(line["mean"]),
            first=float64(line["first"]),
            last=float64(line["last"]),
            count=uint64(line["count"]),
            nonfinite=uint64(line["nonfinite"]),
            argmin=int64(line["argmin"]),
            argmax=int64(line["argmax"]),
        )

    @classmethod
    def empty(
        cls,
        *,
        run_id: str,
        metric: str,
        rank: int | None,
        kind: Kind = "step",
        axis: str = "step",
    ) -> Chart:
        """A line without buckets: nothing was logged in the range."""
        names = ("x", "min", "max", "mean", "first", "last", "argmin", "argmax")
        columns = dict.fromkeys((*names, "count", "nonfinite", "at"), b"")
        line = {
            "run_id": run_id,
            "metric": metric,
            "rank": rank,
            "bucket_width": 1,
            "tier_width": 0,
        }
        return cls.from_line({**line, **columns}, kind, axis)


def _places(kind: Kind, data: bytes) -> Int64 | Float64:
    return float64(data) if kind == "metric" else int64(data)
