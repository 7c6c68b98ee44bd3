"""Charts as pictures, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..chart import Chart
from ..errors import InvalidRequest
from .axis import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

SUFFIXES = (".png", ".svg", ".pdf")
_SIZE = (9.0, 4.8)
_DPI = 150
_MANY = 10


def save_figure(
    charts: Sequence[Chart],
    path: Path,
    *,
    title: str,
    log: bool = False,
    log_x: bool = False,
    label: str | None = None,
) -> None:
    """Writes PATH: the mean as a line (faint beside its smoothed one), minimum to maximum or the
    outer quantiles as a band, marks where values are not finite. LOG and LOG_X make the axes
    logarithmic.

    Raises InvalidRequest for another suffix than those of SUFFIXES, ImportError, with the remedy,
    without matplotlib.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidRequest(f"{path} has no known suffix: use one of {', '.join(SUFFIXES)}.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "stepline[plot]"') from None
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axis = Axis.of(charts)
    if log_x:
        charts = [chart.above_zero() for chart in charts]
        axes.set_xscale("log")
    for chart in charts:
        _draw(axes, chart, axis, alone=len(charts) == 1)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel(axis.label)
    axes.set_ylabel(label or (charts[0].metric if charts else ""))
    axes.xaxis.set_major_formatter(lambda place, _: axis.text(place))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    positive = any(bool(np.any(chart.max > 0)) for chart in charts)
    if log and positive:
        axes.set_yscale("log")
    if not any(len(chart) for chart in charts):
        axes.text(0.5, 0.5, "no points in this range", ha="center", transform=axes.transAxes)
    elif log and not positive:
        axes.text(0.5, 0.9, "no positive values to take logarithms of", transform=axes.transAxes)
    if axes.get_legend_handles_labels()[0] and len(charts) <= _MANY:
        axes.legend(frameon=False)
    try:
        figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be written ({error.strerror}): choose another --out."
        ) from None


def _draw(axes: Panel, chart: Chart, axis: Axis, *, alone: bool) -> None:
    if not len(chart):
        return
    x = axis.places(chart)
    drawn = chart.mean if chart.smooth is None else chart.smooth
    (line,) = axes.plot(x, drawn, linewidth=1.3, label=chart.label, zorder=3)
    color = line.get_color()
    if chart.smooth is not None:
        axes.plot(x, chart.mean, linewidth=0.8, alpha=0.35, color=color, zorder=2)
    low, high = chart.min, chart.max
    what = "min to max over ranks" if chart.rank is None else "min to max"
    if chart.quantiles:
        least, most = min(chart.quantiles), max(chart.quantiles)
        low, high = chart.quantiles[least], chart.quantiles[most]
        what = f"quantiles {least:g} to {most:g}"
    if np.any(low < high):
        axes.fill_between(
            x,
            low,
            high,
            color=color,
            alpha=0.22 if alone else 0.1,
            linewidth=0,
            label=what if alone else None,
        )
    bad = chart.nonfinite > 0
    if np.any(bad):
        axes.plot(
            x[bad],
            np.full(int(bad.sum()), 0.02),
            "x",
            color="crimson",
            transform=axes.get_xaxis_transform(),
            label=f"NaN or infinite ({int(chart.nonfinite.sum()):,} points)",
            zorder=4,
        )
