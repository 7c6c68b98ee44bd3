"""`stepline history`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from numpy.typing import NDArray

from ..history import History
from .gaps import tell, told
from .options import add_json, add_range, add_server, client_of
from .output import print_json

HELP = "print every point of one metric of one rank"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("metric")
    parser.add_argument("--rank", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--all-attempts",
        action="store_true",
        help="also what a newer attempt superseded, attempt after attempt",
    )
    add_range(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print step,time,value with a header")
    add_json(form)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each point; values with as many digits as bring them back bit for bit."""
    with client_of(args) as client, told():
        found = client.run(args.run).history(
            args.metric,
            rank=args.rank,
            start=args.start,
            stop=args.stop,
            all_attempts=args.all_attempts,
        )
    tell(found.expired)
    extra = () if found.attempt is None else ("attempt",)
    if args.json:
        print_json(
            dict(zip(("step", "time", "value", *extra), row, strict=True)) for row in _rows(found)
        )
    elif args.csv:
        print(",".join(("step", "time", "value", *extra)))
        for step, time, value, *attempt in _rows(found):
            print(step, time, repr(value), *attempt, sep=",")
    else:
        print(f"{'step':>12}  {'time':<23}  value" + "".join(f"  ({name})" for name in extra))
        for step, time, value, *attempt in _rows(found):
            more = "".join(f"  ({number})" for number in attempt)
            print(f"{step:>12}  {_moment(time)}  {value!r}{more}")
    return 0


def _rows(found: History) -> Iterator[tuple[Any, ...]]:
    columns: list[NDArray[Any]] = [found.step, found.time, found.value]
    if found.attempt is not None:
        columns.append(found.attempt)
    return zip(*(column.tolist() for column in columns), strict=True)


def _moment(unix_ms: int) -> str:
    when = datetime.fromtimestamp(unix_ms / 1000, tz=timezone.utc).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{unix_ms % 1000:03}"
