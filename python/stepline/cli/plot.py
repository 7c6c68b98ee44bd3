"""`stepline plot`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..chart import Chart
from ..plotting import terminal
from ..plotting.figure import SUFFIXES, save_figure
from .options import add_range, add_server, client_of, ranks

HELP = "draw a metric, in the terminal or into a file"

_FILE_POINTS = 1_000


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("metric")
    parser.add_argument(
        "--rank",
        type=ranks,
        default="band",
        metavar="N|band|all",
        help="one rank, a band over all (default), or a line for each",
    )
    parser.add_argument(
        "--x",
        metavar="AXIS",
        help="step, time, relative, or the name of a metric (default: what define_metric() set, "
        "or step)",
    )
    parser.add_argument(
        "--all-attempts",
        action="store_true",
        help="a line for each attempt, also what a newer one superseded",
    )
    add_range(parser)
    parser.add_argument("--points", type=int, help="at most so many buckets")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"write a picture: {', '.join(SUFFIXES)}"
    )
    parser.add_argument("--log", action="store_true", help="logarithmic values")
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the chart, or the path of the picture."""
    width, height = terminal.size()
    points = args.points or (_FILE_POINTS if args.out else terminal.buckets(width))
    with client_of(args) as client:
        view = client.run(args.run)
        options: dict[str, Any] = {
            "points": points,
            "x": args.x,
            "start": args.start,
            "stop": args.stop,
            "ranks": args.rank,
        }
        if args.all_attempts:
            lines = client.chart(
                runs=[args.run], metrics=[args.metric], all_attempts=True, **options
            )
            found: Chart | list[Chart] = [line for line in lines if len(line)]
        else:
            found = view.chart(args.metric, **options)
    charts = found if isinstance(found, list) else [found]
    title = f"{args.metric}  ({view.info.name})"
    if args.out:
        save_figure(charts, args.out, title=title, log=args.log)
        print(args.out)
    else:
        print(
            terminal.draw(
                charts,
                title=title,
                width=width,
                height=height,
                color=sys.stdout.isatty(),
                log=args.log,
            )
        )
    return 0
