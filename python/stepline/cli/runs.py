"""`stepline runs`."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..reader import Client
from ..runs import RunGroup, RunInfo, RunKey
from .options import add_json, add_server, client_of
from .output import Column, moment, number, print_json, print_table

HELP = "list runs: filtered, sorted, grouped, with any key of config and summary"

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
_KEY_COLUMNS = (
    Column("key"),
    *(Column(heading, number=True) for heading in ("runs", "numbers", "texts", "flags", "lists")),
    *(Column(heading, number=True) for heading in ("min", "max")),
    Column("from"),
)
_EXAMPLES = """examples:
  stepline runs --filter 'config.lr > 0.001 and state = "running"' --sort -summary.val/loss.min
  stepline runs --filter '"big" in tags and created > "7d"' --columns config.lr,summary.acc
  stepline runs --group-by config.optimizer,config.model.depth
  stepline runs --keys
docs/filters.md has the whole language."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument("--project", help="only runs of this project")
    parser.add_argument(
        "-f", "--filter", metavar="TEXT", help="only runs for which this holds, see below"
    )
    parser.add_argument(
        "--sort",
        type=_names,
        default=[],
        metavar="KEY,..",
        help="by these fields, - before one for descending: --sort=-config.lr (default: -created)",
    )
    parser.add_argument(
        "--columns", type=_names, default=[], metavar="KEY,..", help="show these fields"
    )
    parser.add_argument(
        "--group-by", type=_names, metavar="KEY,..", help="count runs by the values of these fields"
    )
    parser.add_argument("--keys", action="store_true", help="list the keys that runs have")
    parser.add_argument("--limit", type=int, default=20, help="at most so many (default: 20)")
    parser.add_argument("--offset", type=int, default=0, help="leave so many out")
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of runs, of groups of runs, or of keys."""
    with client_of(args) as client:
        if args.keys:
            return _keys(client, args)
        if args.group_by:
            return _groups(client, args)
        found = client.runs(
            args.project,
            filter=args.filter,
            sort=args.sort,
            columns=args.columns,
            limit=args.limit,
            offset=args.offset,
        )
    if args.json:
        print_json(_row(info, args.columns) for info in found)
    else:
        print_runs(found, args.columns)
        if found.total > len(found):
            print(f"{len(found):,} of {found.total:,} runs")
    return 0


def print_runs(found: Iterable[RunInfo], columns: Sequence[str] = ()) -> None:
    """The table itself; with COLUMNS these instead of what is shown of every run."""
    if not columns:
        rows = [
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
        ]
        print_table(_COLUMNS, rows)
        return
    runs = list(found)
    numeric = {
        column
        for column in columns
        if all(isinstance(info.values[column], (int, float, type(None))) for info in runs)
    }
    print_table(
        [
            Column("run"),
            Column("name", wrap=True),
            Column("state"),
            *(Column(_heading(column), number=column in numeric) for column in columns),
        ],
        [
            (info.id, info.name, info.state, *(shown(info.values[column]) for column in columns))
            for info in runs
        ],
    )


def shown(value: Any) -> str:
    """A value of a config or a summary in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return number(value)
    return str(value)


def _groups(client: Client, args: argparse.Namespace) -> int:
    found = client.groups(
        args.group_by,
        project=args.project,
        filter=args.filter,
        limit=args.limit,
        offset=args.offset,
    )
    if args.json:
        print_json(asdict(group) for group in found)
    else:
        _print_groups(found, args.group_by)
    return 0


def _print_groups(found: Sequence[RunGroup], by: Sequence[str]) -> None:
    print_table(
        [*(Column(_heading(key)) for key in by), Column("runs", number=True)],
        [(*map(shown, group.values), f"{group.count:,}") for group in found],
    )


def _keys(client: Client, args: argparse.Namespace) -> int:
    found = client.keys(args.project)
    if args.json:
        print_json(asdict(key) for key in found)
    else:
        print_table(_KEY_COLUMNS, map(_key_row, found))
    return 0


def _key_row(key: RunKey) -> tuple[str, ...]:
    counts = (key.runs, key.numbers, key.texts, key.flags, key.lists)
    span = ("" if math.isnan(end) else number(end) for end in (key.min, key.max))
    return key.key, *(f"{count:,}" for count in counts), *span, "points" if key.live else "runs"


def _row(info: RunInfo, columns: Sequence[str]) -> dict[str, Any]:
    """A run as JSON; with COLUMNS without what was not asked for."""
    row = asdict(info)
    for name in ("config", "summary") if columns else ("values",):
        del row[name]
    return row


def _heading(key: str) -> str:
    """Without the space that a key lies in, which the value makes plain."""
    return key.removeprefix("config.").removeprefix("summary.")


def _names(text: str) -> list[str]:
    """The type of a list of fields with commas between them, which may stand in quotes."""
    names, inside = [""], ""
    for character in text:
        if character == "," and not inside:
            names.append("")
            continue
        if character in "\"'" and inside in ("", character):
            inside = "" if inside else character
        names[-1] += character
    return [name.strip() for name in names if name.strip()]
