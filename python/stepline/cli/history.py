"""`stepline history`."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

from ..history import History
from .options import add_json, add_range, add_server, client_of
from .output import print_json

HELP = "print every point of one metric of one rank"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("metric")
    parser.add_argument("--rank", type=int, default=0, help="default: 0")
    add_range(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print step,time,value with a header")
    add_json(form)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each point; values with as many digits as bring them back bit for bit."""
    with client_of(args) as client:
        found = client.run(args.run).history(
            args.metric, rank=args.rank, start=args.start, stop=args.stop
        )
    if args.json:
        print_json(
            {"step": step, "time": time, "value": value} for step, time, value in _rows(found)
        )
    elif args.csv:
        print("step,time,value")
        for step, time, value in _rows(found):
            print(f"{step},{time},{value!r}")
    else:
        print(f"{'step':>12}  {'time':<23}  value")
        for step, time, value in _rows(found):
            print(f"{step:>12}  {_moment(time)}  {value!r}")
    return 0


def _rows(found: History) -> zip[tuple[int, int, float]]:
    return zip(found.step.tolist(), found.time.tolist(), found.value.tolist(), strict=True)


def _moment(unix_ms: int) -> str:
    when = datetime.fromtimestamp(unix_ms / 1000, tz=timezone.utc).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{unix_ms % 1000:03}"
