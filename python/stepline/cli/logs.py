"""`stepline logs`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from ..console.lines import ConsoleLine
from .options import add_json, add_server, client_of
from .output import print_json

HELP = "print what a run printed (runs with init(console=True))"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("--rank", type=int, default=0, help="default: 0")
    parser.add_argument("--attempt", type=int, default=0, help="a start of the run; the newest")
    parser.add_argument("--tail", type=int, default=0, metavar="N", help="only the last N lines")
    parser.add_argument("--contains", default="", metavar="TEXT", help="only lines with TEXT")
    parser.add_argument("--time", action="store_true", help="begin each line with its time")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-f", "--follow", action="store_true", help="go on as more is printed")
    add_json(form)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints lines as they were printed, both streams on standard output."""
    with client_of(args) as client:
        view = client.run(args.run)
        asked = {"rank": args.rank, "attempt": args.attempt, "tail": args.tail}
        if args.follow:
            for line in view.follow_console(**asked, contains=args.contains):
                print(_shown(line, args.time), flush=True)
            return 0
        lines = view.console(**asked, contains=args.contains)
    if args.json:
        print_json(
            {**asdict(line), "time": line.time.isoformat(), "writer": line.writer.hex()}
            for line in lines
        )
    else:
        for line in lines:
            print(_shown(line, args.time))
        if not lines:
            print("nothing was printed, or not kept: see init(console=True)", file=sys.stderr)
    return 0


def _shown(line: ConsoleLine, time: bool) -> str:
    when = line.time.astimezone().strftime("%Y-%m-%d %H:%M:%S ") if time else ""
    return f"{when}{line.text}"
