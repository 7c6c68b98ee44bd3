"""`stepline sql`."""

from __future__ import annotations

import argparse
import sys

from ..table import Table
from .options import add_json, add_server, client_of
from .output import Column, print_json, print_table

HELP = "ask a read-only question in SQL"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("query", help='such as "SELECT count() FROM points"; - reads it from input')
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the answer as a table."""
    query = sys.stdin.read() if args.query == "-" else args.query
    with client_of(args) as client:
        answer = client.sql(query)
    if args.json:
        print_json(dict(zip(answer.columns, row, strict=True)) for row in answer)
    else:
        print_answer(answer)
    return 0


def print_answer(answer: Table) -> None:
    """The table itself."""
    numeric = ("Int", "UInt", "Float", "Decimal", "Nullable(Int", "Nullable(UInt", "Nullable(Float")
    columns = [
        Column(name, number=kind.startswith(numeric))
        for name, kind in zip(answer.columns, answer.types, strict=True)
    ]
    print_table(columns, ([_cell(value) for value in row] for row in answer))


def _cell(value: object) -> str:
    return "NULL" if value is None else str(value)
