"""`stepline metrics`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict

from ..runs import Metric
from .options import add_json, add_server, client_of
from .output import Column, number, print_json, print_table

HELP = "list the metrics of a run"

_COLUMNS = (
    Column("metric"),
    *(Column(heading, number=True) for heading in ("points", "ranks", "first step", "last step")),
    *(Column(heading, number=True) for heading in ("last value", "min", "max", "nonfinite")),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("--prefix", default="", help="only names that begin with this")
    parser.add_argument("--pattern", default="", help="only names like this, with * and ?")
    parser.add_argument("--regex", default="", help="only names in which this is found (RE2)")
    parser.add_argument(
        "--hidden", action="store_true", help="also those that define_metric(hidden=True) hides"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many (default: all)")
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of metrics."""
    with client_of(args) as client:
        found = client.run(args.run).metrics(
            args.prefix,
            pattern=args.pattern,
            regex=args.regex,
            limit=args.limit,
            hidden=args.hidden,
        )
    if args.json:
        print_json(asdict(metric) for metric in found)
    else:
        print_metrics(found)
    return 0


def print_metrics(found: Iterable[Metric]) -> None:
    """The table itself."""
    print_table(
        _COLUMNS,
        (
            (
                metric.name,
                f"{metric.count:,}",
                f"{metric.ranks:,}",
                str(metric.first_step),
                str(metric.last_step),
                number(metric.last_value),
                number(metric.min),
                number(metric.max),
                f"{metric.nonfinite:,}",
            )
            for metric in found
        ),
    )
