"""The x axis of a drawing: how it is labelled, and where buckets lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ..chart import Chart, Kind


@dataclass(frozen=True)
class Axis:
    """Of charts that share one."""

    kind: Kind
    label: str
    seconds: float
    """From first to last; decides how much of a moment is shown."""

    @classmethod
    def of(cls, charts: Sequence[Chart]) -> Axis:
        """The axis that CHARTS were asked for."""
        kind = charts[0].kind if charts else "step"
        spans = [float(chart.x.max() - chart.x.min()) for chart in charts if len(chart)]
        labels = {"time": "time", "relative": "time since the start", "step": "step"}
        label = labels.get(kind) or charts[0].axis
        return cls(kind, label, max(spans, default=0.0) / 1000)

    def places(self, chart: Chart) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        """Where the buckets of CHART are drawn: steps, seconds, or values of a metric."""
        return chart.x / 1000 if self.kind in ("time", "relative") else chart.x

    def span(self, charts: Sequence[Chart]) -> tuple[float, float]:
        """From the first place to the last one, the width of the last bucket of steps included."""
        places = [self.places(chart) for chart in charts]
        first = min(place.min() for place in places)
        last = max(place.max() for place in places)
        if self.kind == "step":
            last = max(int(chart.x[-1]) + chart.bucket_width - 1 for chart in charts)
        return first.item(), last if isinstance(last, int) else last.item()

    def ticks(self, first: float, last: float, count: int) -> list[float]:
        """At most COUNT places at equal distances."""
        if isinstance(first, int) and isinstance(last, int):  # exact, also beyond 2^53
            return sorted({first + (last - first) * tick // (count - 1) for tick in range(count)})
        return sorted({first + (last - first) * tick / (count - 1) for tick in range(count)})

    def text(self, place: float) -> str:
        """PLACE as people read it."""
        if self.kind == "step":
            return f"{place:,.0f}" if isinstance(place, float) else f"{place:,}"
        if self.kind == "time":
            return _moment(place, self.seconds)
        if self.kind == "relative":
            return _duration(place, self.seconds)
        return f"{place:.4g}"


def _moment(place: float, span: float) -> str:
    when = datetime.fromtimestamp(place).astimezone()
    if span < 10:
        return f"{when:%H:%M:%S}.{when.microsecond // 100_000}"
    return f"{when:%b %d %H:%M}" if span > 86_400 else f"{when:%H:%M:%S}"


def _duration(seconds: float, span: float) -> str:
    if span < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
