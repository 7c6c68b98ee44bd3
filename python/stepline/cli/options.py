"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..asking import Ranks
from ..reader import Client, connect
from ..settings import DEFAULT_SERVER


def add_server(parser: argparse.ArgumentParser) -> None:
    """--server and --api-key."""
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        help=f"the service (default: $STEPLINE_SERVER or {DEFAULT_SERVER})",
    )
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")


def add_store(parser: argparse.ArgumentParser, *, server: str, dsn: bool = False) -> None:
    """--data, --server and, with `dsn`, --store, of which one must be given; --api-key."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--data", type=Path, metavar="DIR", help="the data directory of a service that is stopped"
    )
    if dsn:
        where.add_argument(
            "--store",
            metavar="DSN",
            help="clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, also while services use it",
        )
    where.add_argument("--server", metavar="HOST:PORT", help=server)
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")


def add_json(parser: argparse._ActionsContainer) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_range(parser: argparse.ArgumentParser) -> None:
    """--start and --stop."""
    parser.add_argument("--start", type=int, metavar="STEP", help="first step")
    parser.add_argument("--stop", type=int, metavar="STEP", help="the step after the last one")


def client_of(args: argparse.Namespace) -> Client:
    """A client of the service that was asked for."""
    return connect(args.server, api_key=args.api_key)


def ranks(text: str) -> Ranks:
    """The type of --rank: "band", "all", "stragglers" or a number."""
    if text == "band":
        return "band"
    if text == "all":
        return "all"
    if text == "stragglers":
        return "stragglers"
    if text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no rank: use a number, band, all or stragglers")
