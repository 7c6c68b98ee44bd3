"""`stepline serve`."""

from __future__ import annotations

import argparse

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
    try:
        from stepline_ingest.main import serve as serve_main
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("stepline_ingest"):
            raise
        raise ImportError(
            'the service is not installed here: pip install "stepline[server]"'
        ) from None
    return serve_main(argv)
