"""Two pictures of the results, one message each: what a call costs, what a SIGKILL costs.

The background is transparent and every colour is of middle lightness, so that both read on a light
and on a dark page. Colours are of the Okabe-Ito palette, which colour-blind people tell apart.
`python -m loadtest.peers.chart` draws them again from results.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

OURS, PEER, QUIET = "#D55E00", "#2f86c1", "#768390"
SIZE = 12
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "text.color": QUIET,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.edgecolor": QUIET,
    "svg.fonttype": "path",
    "svg.hashsalt": "stepline",
}
WIDTH, ROW, MARGIN, BELOW = 9.0, 0.42, 1.25, 0.75
"""Inches; BELOW is the part of the margin under the axes."""


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Writes the charts as PNG and SVG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return [
            path
            for name, figure in (("peers-log", _costs(results)), ("peers-kill", _kills(results)))
            if figure is not None
            for path in _save(figure, folder / name)
        ]


def _costs(results: dict[str, Any]) -> Figure | None:
    """A dot at the p50 of 10 metrics, a line to the p99."""
    width = str(results["metrics"][0])
    rows = [
        (row["title"], _colour(name, row), row["log"][width])
        for name, row in results["contenders"].items()
        if width in row.get("log", {})
    ]
    if not rows:
        return None
    rows.sort(key=lambda entry: -entry[2]["p50_us"])
    figure, axes = _canvas(len(rows), f"What a log() call of {width} metrics costs", right=0.03)
    axes.set_xscale("log")
    for place, (title, colour, log) in enumerate(rows):
        p50, p99 = log["p50_us"], log["p99_us"]
        axes.plot([p50, p99], [place, place], color=colour, linewidth=2, alpha=0.45, zorder=2)
        axes.plot([p50], [place], "o", color=colour, markersize=9, zorder=3)
        axes.plot([p99], [place], "|", color=colour, markersize=9, markeredgewidth=2, zorder=3)
        axes.annotate(
            _time(p50),
            (p50, place),
            (-9, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=colour,
            fontweight="bold",
        )
        _label(axes, place, title, colour)
    low = min(log["p50_us"] for _, _, log in rows)
    high = max(log["p99_us"] for _, _, log in rows)
    axes.set_xlim(low / 8, high * 1.6)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time of a call, logarithmic: dot p50, bar p99", labelpad=8)
    return figure


def _kills(results: dict[str, Any]) -> Figure | None:
    """The share that is read back: a dot for the process killed alone, a ring for its tree."""
    rows = [
        (row["title"], _colour(name, row), row["kill"])
        for name, row in results["contenders"].items()
        if row.get("kill") and not any("error" in kill for kill in row["kill"].values())
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: (min(map(_share, row[2].values())), row[1] == OURS, row[0]))
    figure, axes = _canvas(len(rows), "What is left after SIGKILL in a burst", right=0.13)
    for place, (title, colour, kills) in enumerate(rows):
        worst = min(map(_share, kills.values()))
        best = max(map(_share, kills.values()))
        axes.plot([worst, best], [place, place], color=colour, linewidth=2, alpha=0.45, zorder=2)
        for share, face in ((_share(kills["tree"]), "none"), (_share(kills["alone"]), colour)):
            axes.plot(
                *([share], [place], "o"),
                markersize=12 if face == "none" else 7,
                markerfacecolor=face,
                markeredgecolor=colour,
                markeredgewidth=2,
                zorder=3,
                clip_on=False,
            )
        axes.annotate(
            _percent(worst),
            (100, place),
            (14, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            color=colour,
            fontweight="bold",
        )
        _label(axes, place, title, colour)
    axes.set_xlim(-2, 100)
    axes.set_xticks(range(0, 101, 25))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.set_xlabel(
        "read back of what was logged; dot: process killed alone, ring: with its children",
        labelpad=8,
    )
    return figure


def _canvas(rows: int, title: str, *, right: float) -> tuple[Figure, Axes]:
    """Axes for ROWS rows, with labels at the left and RIGHT (a share of the width) kept free."""
    height = rows * ROW + MARGIN
    figure = Figure(figsize=(WIDTH, height))
    left = 0.26
    axes = figure.add_axes((left, BELOW / height, 1 - left - right, rows * ROW / height))
    axes.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_ylim(-0.6, rows - 0.4)
    axes.set_yticks([])
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    figure.text(
        0.012,
        1 - 0.08 / height,
        title,
        fontsize=SIZE + 3,
        fontweight="bold",
        verticalalignment="top",
    )
    return figure, axes


def _label(axes: Axes, place: int, title: str, colour: str) -> None:
    axes.annotate(
        title,
        (0, place),
        (-12, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="center",
        color=colour,
        fontweight="bold" if colour == OURS else "normal",
    )


def _colour(name: str, row: dict[str, Any]) -> str:
    if name.startswith("stepline"):
        return OURS
    return QUIET if row["floor"] else PEER


def _share(kill: dict[str, Any]) -> float:
    return 100 * float(kill["stored"]) / float(kill["logged"])


def _percent(share: float) -> str:
    return f"{share:.2f} %" if 0 < share < 100 else f"{share:.0f} %"


def _time(microseconds: float) -> str:
    for unit, scale in (("s", 1e6), ("ms", 1e3), ("µs", 1.0), ("ns", 1e-3)):
        if microseconds >= scale:
            return f"{float(f'{microseconds / scale:.2g}'):g} {unit}"
    return f"{microseconds * 1e3:.0f} ns"


def _save(figure: Figure, stem: Path) -> list[Path]:
    png, svg = stem.with_suffix(".png"), stem.with_suffix(".svg")
    figure.savefig(png, dpi=144, transparent=True)
    figure.savefig(svg, transparent=True, metadata={"Date": None})  # equal results, equal file
    return [png, svg]


def main() -> None:
    here = Path(__file__)
    results = json.loads(here.with_name("results.json").read_text())
    for path in draw(results, here.parents[2] / "docs" / "images"):
        print(path)


if __name__ == "__main__":
    main()
