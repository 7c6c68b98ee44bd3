"""`stepline status`."""

from __future__ import annotations

import argparse

from .. import _core
from ..errors import InvalidRequest, sentence
from ..settings import find_dir
from .options import add_json
from .output import Column, print_json, print_table

HELP = "show what waits on this host to be sent"

_COLUMNS = (
    Column("run"),
    Column("project"),
    Column("rank", number=True),
    Column("writer"),
    Column("calls left", number=True),
    Column("bytes", number=True),
    Column("state"),
    Column("server"),
    Column("error", wrap=True),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--dir", help="where the spools lie (default: $STEPLINE_DIR or ~/.local/state/stepline)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of spools, and whether an uploader runs."""
    root = str(find_dir(args.dir))
    try:
        spools = _core.spool_scan(root)
    except _core.CoreError as error:
        raise InvalidRequest(f"{sentence(str(error))} Pass another --dir.") from None
    if args.json:
        print_json(dict(spool) for spool in spools)
        return 0
    uploader = "an uploader is running" if _core.uploader_alive(root) else "no uploader is running"
    print(f"{root}: {len(spools)} spools, {uploader}")
    if spools:
        print_table(_COLUMNS, map(_row, spools))
    return 0


def _row(spool: _core.SpoolStatus) -> tuple[str, ...]:
    return (
        spool["run_id"],
        spool["project"],
        str(spool["rank"]),
        "alive" if spool["alive"] else "ended",
        f"{max(0, spool['last_seq'] - spool['acked_seq']):,}",
        f"{spool['bytes']:,}",
        spool["state"],
        spool["server"],
        spool["error"],
    )
