"""`stepline delete`."""

from __future__ import annotations

import argparse
import sys

from ..errors import AccessDenied, InvalidRequest
from ..reader import Client
from .options import add_server, client_of

HELP = "delete a run with all its points, for ever"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id; it stays taken")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Asks first, when there is somebody to ask."""
    with client_of(args) as client:
        if not args.yes and not _confirmed(_described(client, args.run)):
            print("nothing is deleted")
            return 1
        client.delete(args.run)
    print(f"run {args.run} is deleted; its id stays taken")
    return 0


def _described(client: Client, run_id: str) -> str:
    try:
        info = client.run(run_id).info
    except AccessDenied:  # an ingest key may delete what it may not read
        return run_id
    return f"{info.id} ({info.name}) of project {info.project}"


def _confirmed(what: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest(f"This deletes run {what} for ever. Pass --yes to do it.")
    return input(f"delete run {what} with all its points, for ever? [y/N] ").strip().lower() == "y"
