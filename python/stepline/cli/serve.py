"""`stepline serve`."""

from __future__ import annotations

import argparse

from .service import imported

HELP = "run the service"


def add(parser: argparse.ArgumentParser) -> None:
    """Only for the list of commands: the options are the service's own."""


def run(args: argparse.Namespace) -> int:
    """Without options."""
    return serve([])


def serve(argv: list[str]) -> int:
    """Hands over to stepline-ingest. Raises ImportError, with the remedy, when that is not
    installed.
    """
    code: int = imported("stepline_ingest.main").serve(argv)
    return code
