"""`stepline demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "start a service, train a small model on 4 ranks, show the run"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("demo-data"),
        help="where the service and the spools keep their files (default: %(default)s)",
    )
    parser.add_argument(
        "--steps", type=int, default=5_000, help="optimizer steps (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Imports the demo only now: it needs scikit-learn."""
    from ..demo.show import show

    return show(args.dir, args.steps)
