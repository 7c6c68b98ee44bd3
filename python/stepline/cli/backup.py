"""`stepline backup`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..reader import Client
from .options import client_of
from .progress import Bar

HELP = "back an embedded store up, also while its service runs"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "target",
        help="the new folder; with --server its name in the service's --backup-dir",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data", type=Path, metavar="DIR", help="the data directory of a service that is stopped"
    )
    source.add_argument("--server", metavar="HOST:PORT", help="a service that runs")
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")
    parser.add_argument(
        "--base",
        metavar="BACKUP",
        help="an earlier backup beside it: what did not change since is linked from it",
    )


def run(args: argparse.Namespace) -> int:
    """Says where the backup is and which instant it shows."""
    if args.data is not None:
        return _of_directory(args.data, Path(args.target), Path(args.base) if args.base else None)
    with client_of(args) as client:
        return _of_service(client, args.target, args.base or "")


def _of_directory(data: Path, target: Path, base: Path | None) -> int:
    from .service import imported

    service = imported("stepline_ingest.offline")
    with Bar("copying") as bar:
        manifest = service.backup(data, target, base, bar.step)
    print(f"{target}: {manifest.nbytes:,} bytes, as of {manifest.created}")
    return 0


def _of_service(client: Client, name: str, base: str) -> int:
    with Bar("copying") as bar:
        result = client.backup(name, base=base or None, progress=bar.step)
    print(f"{result.path}: {result.nbytes:,} bytes, as of {result.created}")
    return 0
