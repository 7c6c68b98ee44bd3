"""Charts made of characters."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..chart import Chart
from ..columns import Float64
from .axis import Axis

_FALLBACK = (100, 30)
_LARGEST = (160, 28)
_MARGIN = 12
_TICKS = 5
_COLORS = ("cyan+", "orange+", "green+", "magenta+", "blue+", "red+", "white")
_EDGE_COLOR = "gray"
_CONTROL = re.compile(r"\x1b\[[0-9;]*m")


def size() -> tuple[int, int]:
    """Columns and lines to draw on: the terminal's, within reason."""
    columns, lines = shutil.get_terminal_size(_FALLBACK)
    return min(columns, _LARGEST[0]), max(10, min(lines - 3, _LARGEST[1]))


def columns() -> int:
    """The width of the terminal; 0 where there is none."""
    return shutil.get_terminal_size(_FALLBACK).columns if sys.stdout.isatty() else 0


def buckets(width: int) -> int:
    """How many buckets a chart of WIDTH columns can show: a character has two columns of dots."""
    return max(16, 2 * (width - _MARGIN))


def draw(
    charts: Sequence[Chart],
    *,
    title: str,
    width: int,
    height: int,
    color: bool = True,
    log: bool = False,
    log_x: bool = False,
    labels: Sequence[str] | None = None,
) -> str:
    """The mean of each chart, smoothed where it was asked for, as a line; for a single one also its
    minimum and maximum, or its quantiles. LOG and LOG_X make the axes logarithmic. LABELS name
    the charts, all of which have points; they name themselves without them."""
    import plotext

    if log_x:
        charts = [chart.above_zero() for chart in charts]
    charts = [chart for chart in charts if len(chart)]
    if not charts:
        return f"{title}: no points in this range"
    if not any(np.any(_shown(chart.mean, log)) for chart in charts):
        what = "positive" if log else "finite"
        return "\n".join([f"{title}: no {what} values in this range", *_captions(charts)])
    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("clear")
    plotext.title(title)
    axis = Axis.of(charts)
    plotext.xlabel(axis.label)
    if log:
        plotext.yscale("log")
    if log_x:
        plotext.xscale("log")
    if len(charts) == 1 and not labels:
        for name, edge in _edges(charts[0]):
            _line(axis.places(charts[0]), edge, name, _EDGE_COLOR, log)
    for index, chart in enumerate(charts):
        drawn = chart.mean if chart.smooth is None else chart.smooth
        name = labels[index] if labels else chart.label
        _line(axis.places(chart), drawn, name, _COLORS[index % len(_COLORS)], log)
    first, last = axis.span(charts)
    if first < last:
        plotext.xlim(first, last)
    ticks = axis.ticks(first, last, _TICKS)
    if log_x:
        ticks = np.unique(np.geomspace(first, last, _TICKS).round(6)).tolist()
    plotext.xticks(ticks, [axis.text(tick) for tick in ticks])
    text = str(plotext.build()).rstrip("\n")
    if not color:
        text = _CONTROL.sub("", text)
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join([*lines, *_captions(charts)])


def _edges(chart: Chart) -> list[tuple[str, Float64]]:
    """What is drawn around the mean, the upper one first."""
    if chart.quantiles:
        levels = sorted(chart.quantiles, reverse=True)
        return [(f"q{level:g}", chart.quantiles[level]) for level in levels]
    return [("max", chart.max), ("min", chart.min)] if np.any(chart.min < chart.max) else []


def _line(x: np.ndarray, y: np.ndarray, label: str, color: str, log: bool) -> None:
    import plotext

    shown = _shown(y, log)
    plotext.plot(x[shown].tolist(), y[shown].tolist(), label=label, color=color, marker="braille")


def _shown(y: Float64, log: bool) -> npt.NDArray[np.bool_]:
    shown: npt.NDArray[np.bool_] = np.isfinite(y)
    return shown & (y > 0) if log else shown


def _captions(charts: Sequence[Chart]) -> list[str]:
    count = sum(int(chart.count.sum()) for chart in charts)
    nonfinite = sum(int(chart.nonfinite.sum()) for chart in charts)
    width = max(chart.bucket_width for chart in charts)
    steps = f"{width:,} {'step' if width == 1 else 'steps'} a bucket" if width else "even in log"
    text = f"{count:,} points, {steps}"
    return [text + (f", {nonfinite:,} not finite" if nonfinite else "")]
