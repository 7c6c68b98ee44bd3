"""`stepline plot`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..asking import SMOOTHINGS
from ..chart import Chart
from ..errors import InvalidRequest
from ..plotting import terminal
from ..plotting.figure import SUFFIXES, save_figure
from .options import add_range, add_server, client_of, ranks

HELP = "draw a metric, in the terminal or into a file"

_FILE_POINTS = 1_000
_FOLLOW_SECONDS = 0.5
_CLEAR = "\x1b[H\x1b[2J"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("metric")
    parser.add_argument(
        "--rank",
        type=ranks,
        default="band",
        metavar="N|band|all|stragglers",
        help="one rank, a band over all (default), a line for each, or the ranks that deviate most",
    )
    parser.add_argument(
        "--top", type=int, default=8, metavar="N", help="how many stragglers (default: 8)"
    )
    parser.add_argument(
        "--smooth",
        type=float,
        metavar="X",
        help="smooth the line: a weight below 1, or the width of --smoothing gaussian in buckets",
    )
    parser.add_argument(
        "--smoothing",
        choices=SMOOTHINGS,
        default="ema",
        help="moving average (default), the same by distance on the x axis, or Gaussian",
    )
    parser.add_argument(
        "--quantiles",
        type=quantiles,
        default=(),
        metavar="Q,Q",
        help="quantiles over ranks instead of minimum and maximum, such as 0.05,0.95",
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
    parser.add_argument(
        "--log-x", action="store_true", help="buckets that are even in the logarithm of the step"
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on until the run ends, and draw what is new"
    )
    add_server(parser)


def quantiles(text: str) -> tuple[float, ...]:
    """The type of --quantiles."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no quantiles: write numbers from 0 to 1, such as 0.05,0.95"
        ) from None


def run(args: argparse.Namespace) -> int:
    """Prints the chart, or the path of the picture."""
    width, _ = terminal.size()
    fitting = _FILE_POINTS if args.out else terminal.buckets(width)
    points = fitting if args.points is None else args.points
    options: dict[str, Any] = {
        "points": points,
        "x": args.x,
        "start": args.start,
        "stop": args.stop,
        "ranks": args.rank,
        "top": args.top,
        "smooth": args.smooth,
        "smoothing": args.smoothing,
        "quantiles": args.quantiles,
        "log_x": args.log_x,
    }
    with client_of(args) as client:
        view = client.run(args.run)
        title = f"{args.metric}  ({view.info.name})"
        if args.follow and args.all_attempts:
            raise InvalidRequest(
                "What a run shows can be followed, not all of its attempts: leave --follow or "
                "--all-attempts away."
            )
        if args.all_attempts:
            lines = client.chart(
                runs=[args.run], metrics=[args.metric], all_attempts=True, **options
            )
            _show([line for line in lines if len(line)], title, args)
            return 0
        if not args.follow:
            found = view.chart(args.metric, **options)
            _show(found if isinstance(found, list) else [found], title, args)
            return 0
        with view.watch(args.metric, interval=_FOLLOW_SECONDS, **options) as watch:
            for update in watch:
                _show(update.charts, f"{title}  {update.states[view.id]}", args, again=True)
    return 0


def _show(
    charts: list[Chart], title: str, args: argparse.Namespace, *, again: bool = False
) -> None:
    """Draws CHARTS; AGAIN over what was drawn before, where there is a terminal."""
    if args.out:
        save_figure(charts, args.out, title=title, log=args.log, log_x=args.log_x)
        print(args.out, flush=True)
        return
    width, height = terminal.size()
    color = sys.stdout.isatty()
    text = terminal.draw(
        charts,
        title=title,
        width=width,
        height=height,
        color=color,
        log=args.log,
        log_x=args.log_x,
    )
    print(f"{_CLEAR}{text}" if again and color else text, flush=True)
