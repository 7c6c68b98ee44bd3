"""`stepline restore`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .progress import Bar

HELP = "make a data directory from a backup"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("backup", type=Path, help="a folder that `stepline backup` has made")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="the new data directory; serve from it afterwards",
    )


def run(args: argparse.Namespace) -> int:
    """Checks every file on the way; says what is there."""
    from .service import imported

    service = imported("stepline_ingest.offline")
    with Bar("restoring") as bar:
        manifest = service.restore(args.backup, args.data, bar.step)
    points = manifest.rows.get("raw_points", 0)
    print(f"{args.data}: {points:,} points, as of {manifest.created}")
    return 0
