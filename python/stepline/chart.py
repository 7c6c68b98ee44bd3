"""One line of a chart: buckets of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .columns import Columns, Float64, Int64, UInt64, float64, int64, uint64

Kind = Literal["step", "time", "relative", "metric"]
"""Of an x axis. Time and relative time are in milliseconds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chart(Columns):
    """One metric of one run, of one rank or as a band over all ranks, or of a group of runs; arrays
    of shape (buckets,).

    `min`, `max`, `first` and `last` of each bucket draw the same line as all of its points would;
    `mean` is the line to read. They are taken over the finite values of a bucket, and are NaN where
    it has none. Of a group, `mean`, `first` and `last` are the mean over its runs of what each has.
    """

    run_id: str
    metric: str
    rank: int | None
    """None for a band over all ranks."""
    attempt: int | None = None
    """With all attempts: whose line it is; 0 is what the run was forked from."""
    bucket_width: int
    """Steps a bucket; buckets begin at multiples of it. 0 where they differ: see `widths`."""
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
    argnonfinite: Int64 | None = field(default=None, repr=False)
    """The step of the first point that is NaN or infinite, where it was asked for; the first step
    of the bucket in those that have none, or nothing else."""
    smooth: Float64 | None = field(default=None, repr=False)
    """The smoothed mean, where it was asked for; NaN where the mean is."""
    quantiles: Mapping[float, Float64] = field(default_factory=dict, repr=False)
    """Those that were asked for: over ranks, or the runs of a group, of the mean that each has in
    the bucket."""
    widths: UInt64 | None = field(default=None, repr=False)
    """Steps of each bucket, of a chart with log_x."""
    group: str | None = None
    """What the runs of a group have in common; None where runs are not grouped."""
    group_run_ids: tuple[str, ...] = field(default=(), repr=False)
    group_runs: UInt64 | None = field(default=None, repr=False)
    """Runs of the group that have a finite value in the bucket."""
    deviation: float | None = None
    """Of a straggler: how far the rank is from the others, in robust standard deviations."""

    def __len__(self) -> int:
        return len(self.x)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """x, min, max, mean, first, last, count, nonfinite, argmin, argmax, step; then
        argnonfinite, smooth, width, runs and the quantiles (q0.05) as far as they were asked for.
        """
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
        more = {
            "argnonfinite": self.argnonfinite,
            "smooth": self.smooth,
            "width": self.widths,
            "runs": self.group_runs,
        }
        return {
            **{name: getattr(self, name) for name in names},
            **{name: column for name, column in more.items() if column is not None},
            **{f"q{level:g}": column for level, column in self.quantiles.items()},
        }

    def above_zero(self) -> Chart:
        """Without the buckets that a logarithmic x axis cannot show."""
        shown = self.x > 0
        if shown.all():
            return self
        cut: dict[str, Any] = {
            name: column[shown]
            for name in self.__dataclass_fields__
            if isinstance(column := getattr(self, name), np.ndarray) and len(column) == len(shown)
        }
        levels = {level: column[shown] for level, column in self.quantiles.items()}
        return replace(self, **cut, quantiles=levels)

    @property
    def label(self) -> str:
        """What tells it from other lines of the same metric and run, for people."""
        if self.group is not None:
            return self.group or "(none)"
        if self.attempt is not None:
            own = f"attempt {self.attempt}" if self.attempt else "forked from"
            return own if self.rank is None else f"{own}, rank {self.rank}"
        if self.rank is None:
            return "mean"
        far = "" if self.deviation is None else f" ({self.deviation:.1f} sd)"
        return f"rank {self.rank}{far}"

    @classmethod
    def from_line(
        cls,
        line: Mapping[str, Any],
        kind: Kind = "step",
        axis: str = "step",
        quantiles: Sequence[float] = (),
    ) -> Chart:
        """Of a ChartLine as the extension gives it: columns as bytes; with the QUANTILES that it
        was asked for.
        """
        step = int64(line["x"])
        grouped = bool(line.get("group_run_ids"))
        return cls(
            run_id=line["run_id"],
            metric=line["metric"],
            rank=line.get("rank"),
            attempt=line.get("attempt"),
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
            argnonfinite=int64(line["argnonfinite"]) if line.get("argnonfinite") else None,
            smooth=float64(line["smooth"]) if line.get("smooth") else None,
            quantiles={
                level: float64(column)
                for level, column in zip(quantiles, line.get("quantiles", ()), strict=False)
            },
            widths=uint64(line["widths"]) if line.get("widths") else None,
            group=line["group"] if grouped else None,
            group_run_ids=tuple(line.get("group_run_ids", ())),
            group_runs=uint64(line["group_runs"]) if grouped else None,
            deviation=line.get("deviation"),
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
