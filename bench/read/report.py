"""The table and the picture."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from loadtest.peers.chart import OURS, PEER, QUIET, STYLE

from .cases import CASES
from .peers import PEERS
from .stores import SIZES, SMALL

_LABELS = {
    "look_up": "point look-up",
    "sum": "sum(value)",
    "scan ranks": "GROUP BY over all points",
    "stream": "the same columns as a stream",
    "stream all": "the same columns as a stream",
    "names": "match() over the names",
}


def print_table(results: dict[str, Any]) -> None:
    floors, times = results["floors"], results["times"]
    print(f"\n{'':34s}{'p50 ms':>9s}{'p99 ms':>9s}{'bare ms':>9s}{'ratio':>8s}  bare engine query")
    for name, floor in CASES.items():
        if name not in times:
            continue
        p50, p99 = percentiles(times[name])
        bare = floors[floor]
        print(f"{name:34s}{p50:9.1f}{p99:9.1f}{bare:9.1f}{p50 / bare:8.2f}  {_LABELS[floor]}")
    busy = results["under_ingest"]
    print(
        "\nchart of the longest series while "
        f"{busy['points_per_second'] / 1e6:.2f} M points/s arrive "
        f"(top {busy['top_points_per_second'] / 1e6:.2f} M): "
        f"p50 {busy['busy_p50']:.1f} ms, p99 {busy['busy_p99']:.1f} ms; "
        f"quiet p50 {busy['quiet_p50']:.1f}, p99 {busy['quiet_p99']:.1f}; "
        f"p99 {busy['busy_p99'] / busy['quiet_p99']:.1f} times the quiet one"
    )
    history = percentiles(times["history, 100,000 points"])[0]
    chart = percentiles(times["chart of 100,000 steps"])[0]
    print(f"\nreading one series of {SMALL:,} points{'':8s}{'ms':>10s}{'times Stepline':>16s}")
    print(f"{'Stepline, every point':42s}{history:10.1f}{1:16.1f}")
    print(f"{'Stepline, a chart of 1,000 buckets':42s}{chart:10.1f}{chart / history:16.1f}")
    for name, title in PEERS.items():
        row = results["peers"].get(name, {"error": "left out"})
        if "error" in row:
            print(f"{title:42s} {row['error']}")
            continue
        label = f"{title} {row['version']}, {row['points']:,} points"
        print(f"{label:42s}{row['read'] * 1e3:10.1f}{_times_ours(row, history):16.1f}")


def percentiles(taken: list[float]) -> tuple[float, float]:
    """p50 and p99 in ms; the largest where there are few."""
    ms = sorted(value * 1e3 for value in taken)
    return statistics.median(ms), ms[min(len(ms) - 1, int(len(ms) * 0.99))]


def _times_ours(row: dict[str, Any], history: float) -> float:
    """Per point, as some managed fewer points."""
    return float(row["read"] * 1e3 / row["points"] / (history / SMALL))


_LINE = 0.075
"""Of the height of the axes: what a line of text takes."""


def _name_peers(axes: Axes, read: list[tuple[str, int, float]], *, gap: float) -> None:
    """A square for each, and its name to the left. Names stand in one column, GAP apart at least
    (in the logarithm of ms), and a line leads to the square."""
    if not read:
        return
    column = min(points for _, points, _ in read) * 0.6
    below = -math.inf
    for title, points, ms in sorted(read, key=lambda one: one[2]):
        axes.plot(points, ms, "s", color=PEER, ms=7)
        below = max(math.log(ms), below + gap)
        axes.annotate(
            f"{title}: its own read",
            (points, ms),
            (column, math.exp(below)),
            color=PEER,
            ha="right",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": PEER,
                "lw": 0.8,
                "shrinkB": 5,
                "relpos": (1, 0.5),
            },
        )


def draw(results: dict[str, Any], path: Path) -> None:
    """How long it takes to see a series, by its length."""
    times, floors = results["times"], results["floors"]
    ours = [(SMALL, percentiles(times["chart of 100,000 steps"])[0])]
    scans = []
    for name, steps in SIZES.items():
        if f"chart of {name} steps" in times:
            ours.append((steps, percentiles(times[f"chart of {name} steps"])[0]))
            scans.append((steps, floors[f"scan {name}"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.6))
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(*zip(*scans, strict=True), "--", color=QUIET, lw=1.5)
        axes.annotate(
            "the engine, reading every point",
            scans[-1],
            (-10, -4),
            textcoords="offset points",
            ha="right",
            va="bottom",
        )
        axes.plot(*zip(*ours, strict=True), "-o", color=OURS, lw=2.5, ms=7)
        axes.annotate(
            "Stepline: a chart of 1,000 buckets, end to end",
            ours[-1],
            (0, -14),
            textcoords="offset points",
            color=OURS,
            va="top",
            ha="right",
        )
        taken = [ms for _, ms in (*ours, *scans)]
        axes.set_xlim(1e3, 2 * max(steps for steps, _ in ours))
        read = [
            (title, row["points"], row["read"] * 1e3)
            for name, title in PEERS.items()
            if "read" in (row := results["peers"].get(name, {}))
        ]
        taken += [ms for _, _, ms in read]
        low, high = min(taken) / 4, max(taken) * 4
        axes.set_ylim(low, high)
        _name_peers(axes, read, gap=math.log(high / low) * _LINE)
        axes.set_xlabel("steps of the series")
        axes.set_ylabel("ms")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_title("How long it takes to see a series", loc="left", color=QUIET)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, transparent=True)
