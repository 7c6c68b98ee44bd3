"""The command line: one module for each command, each with HELP, `add(parser)` and `run(args)`."""

from .main import main

__all__ = ["main"]
