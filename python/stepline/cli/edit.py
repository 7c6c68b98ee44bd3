"""`stepline edit`."""

from __future__ import annotations

import argparse

from .options import add_server, client_of
from .runs import print_runs

HELP = "change the name, notes, group, job type or tags of a run"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", nargs="+", help="run ids")
    parser.add_argument("--name")
    parser.add_argument("--notes", metavar="TEXT")
    parser.add_argument("--group")
    parser.add_argument("--job-type", metavar="TEXT")
    parser.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="add a tag; may be repeated"
    )
    parser.add_argument(
        "--untag", action="append", default=[], metavar="TAG", help="take a tag away"
    )
    parser.add_argument(
        "--tags", metavar="TAG,..", help="these instead of the tags that are there; '' for none"
    )
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the runs as they are then."""
    tags = args.tags
    with client_of(args) as client:
        changed = [
            client.run(run_id).edit(
                name=args.name,
                notes=args.notes,
                group=args.group,
                job_type=args.job_type,
                tags=None if tags is None else [tag for tag in tags.split(",") if tag],
                add_tags=args.tag,
                remove_tags=args.untag,
            )
            for run_id in args.run
        ]
    print_runs(view.info for view in changed)
    return 0
