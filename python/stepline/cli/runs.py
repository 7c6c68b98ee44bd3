"""`stepline runs`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict

from ..runs import RunInfo
from .options import add_json, add_server, client_of
from .output import Column, moment, print_json, print_table

HELP = "list runs, the newest first"

_COLUMNS = (
    Column("run"),
    Column("project"),
    Column("name"),
    Column("state"),
    Column("ranks", number=True),
    Column("attempts", number=True),
    Column("created"),
    Column("tags"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--project", help="only runs of this project")
    parser.add_argument("--limit", type=int, default=20, help="at most so many (default: 20)")
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of runs."""
    with client_of(args) as client:
        found = client.runs(args.project, limit=args.limit)
    if args.json:
        print_json(asdict(info) for info in found)
    else:
        print_runs(found)
    return 0


def print_runs(found: Iterable[RunInfo]) -> None:
    """The table itself."""
    print_table(
        _COLUMNS,
        (
            (
                info.id,
                info.project,
                info.name,
                info.state,
                f"{info.world_size:,}",
                f"{info.attempts:,}",
                moment(info.created),
                ", ".join(info.tags),
            )
            for info in found
        ),
    )
