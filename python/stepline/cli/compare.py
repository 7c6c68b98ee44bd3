"""`stepline compare`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..comparing import SYSTEM, Comparison, MetricRow
from ..plotting import terminal
from ..runs import RunInfo
from .options import add_json, add_server, client_of
from .output import Column, number, print_json_object, print_table
from .runs import shown

HELP = "show what is different between runs: configs, summaries, curves"

_METRICS_SHOWN = 30
_KEYS_SHOWN = 60


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two or more run ids")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="only these metrics, with * and ?; may be repeated",
    )
    parser.add_argument(
        "--plot",
        action="append",
        default=None,
        metavar="NAME",
        help="draw the curves of this metric; may be repeated (default: one that says most)",
    )
    parser.add_argument("--no-plot", action="store_true", help="draw nothing")
    parser.add_argument("--log", action="store_true", help="logarithmic values in drawings")
    parser.add_argument("--all", action="store_true", help="all rows, however many")
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints tables of differences, and curves."""
    with client_of(args) as client:
        found = client.compare(args.runs, metrics=args.metric)
        if args.json:
            print_json_object(found.to_dict())
            return 0
        _print_config(found, everything=args.all)
        _print_summary(found)
        _print_metrics(found, everything=args.all, named=bool(args.metric))
        if not args.no_plot:
            likely = found.likely()
            names = args.plot if args.plot is not None else [likely] if likely else []
            for name in names:
                print(_drawn(found, name, log=args.log))
    return 0


def _print_config(found: Comparison, *, everything: bool) -> None:
    same = f"{found.same:,} other keys are the same" if found.same else "no key is the same"
    if not found.config:
        print(f"Config: no difference; {found.same:,} keys are the same.\n")
        return
    rows = found.config if everything else found.config[:_KEYS_SHOWN]
    print(f"Config: {len(found.config):,} keys differ, {same}.")
    _print_rows(found.runs, [(row.key, [shown(value) for value in row.values]) for row in rows])
    _say_more(len(found.config) - len(rows))


def _print_summary(found: Comparison) -> None:
    if found.summary:
        print("Summary, as the runs have set it.")
        rows = [(row.key, [shown(value) for value in row.values]) for row in found.summary]
        _print_rows(found.runs, rows)


def _print_metrics(found: Comparison, *, everything: bool, named: bool) -> None:
    if not found.metrics:
        print("Metrics: none.")
        return
    rows = list(found.metrics)
    if not (everything or named):
        # Machines have dozens, and most names come behind theirs.
        rows = [row for row in rows if not row.name.startswith(SYSTEM)] or rows
    if not everything:
        rows = rows[:_METRICS_SHOWN]
    print("Metrics: the last value, or what define_metric() chose; * is the best by its goal.")
    _print_rows(found.runs, [(_title(row), _cells(row)) for row in rows], numbers=True)
    _say_more(len(found.metrics) - len(rows))


def _title(row: MetricRow) -> str:
    known = next(metric for metric in row.metrics if metric is not None)
    unit = f" [{known.unit}]" if known.unit else ""
    kind = f" ({known.summary})" if known.summary not in ("", "last") else ""
    return f"{row.name}{unit}{kind}"


def _cells(row: MetricRow) -> list[str]:
    best = row.best
    return [
        "" if value is None else number(value) + (" *" if index == best else "  ")
        for index, value in enumerate(row.shown)
    ]


def _print_rows(
    runs: Sequence[RunInfo], rows: Sequence[tuple[str, Sequence[str]]], *, numbers: bool = False
) -> None:
    """A row for each key and a column for each run; where those do not fit, a table for each few
    runs."""
    width = terminal.columns()
    key = max(len(name) for name, _ in rows)
    spent = min(key, max(20, width // 3)) + 2
    taken = 0
    while taken < len(runs):
        room, count = width - spent if width else 10**9, 0
        for index in range(taken, len(runs)):
            cells = (_heading(runs[index]), *(cells[index] for _, cells in rows))
            room -= min(max(map(len, cells)), 40) + 2
            if room < 0 and count:
                break
            count += 1
        part = range(taken, taken + count)
        print_table(
            [Column(""), *(Column(_heading(runs[i]), number=numbers, wrap=True) for i in part)],
            [(name, *(cells[i] for i in part)) for name, cells in rows],
        )
        taken += count


def _heading(run: RunInfo) -> str:
    return run.id if run.name == run.id else f"{run.id} {run.name}"


def _say_more(left: int) -> None:
    if left > 0:
        print(f"  and {left:,} more: --all shows them\n")


def _drawn(found: Comparison, name: str, *, log: bool) -> str:
    width, height = terminal.size()
    charts = found.charts(name, points=terminal.buckets(width))
    by_id = {run.id: run for run in found.runs}
    drawn = [chart for chart in charts if len(chart)]
    return terminal.draw(
        drawn,
        title=name,
        width=width,
        height=height,
        color=sys.stdout.isatty(),
        log=log,
        labels=[_heading(by_id[chart.run_id]) for chart in drawn],
    )
