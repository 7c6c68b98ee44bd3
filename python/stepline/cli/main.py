"""Finding the command and turning its errors into one line and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from .._core import __version__
from ..errors import SteplineError
from . import (
    attempts,
    backup,
    compare,
    delete,
    demo,
    doctor,
    edit,
    expire,
    export,
    history,
    key,
    logs,
    metrics,
    plot,
    restore,
    runs,
    serve,
    show,
    sql,
    status,
    sync,
    verify,
)
from .output import until_closed

COMMANDS: dict[str, ModuleType] = {
    "serve": serve,
    "demo": demo,
    "runs": runs,
    "show": show,
    "logs": logs,
    "compare": compare,
    "metrics": metrics,
    "plot": plot,
    "history": history,
    "export": export,
    "sql": sql,
    "key": key,
    "attempts": attempts,
    "edit": edit,
    "delete": delete,
    "backup": backup,
    "restore": restore,
    "expire": expire,
    "status": status,
    "sync": sync,
    "verify": verify,
    "doctor": doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 0, 1 after an error, 130 after Ctrl-C; wrong usage exits with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["serve"]:  # the service knows its own options
            return serve.serve(arguments[1:])
        args = make_parser().parse_args(arguments)
        result: int = 0  # of a command whose reader has gone before it knew
        with until_closed():
            result = COMMANDS[args.command].run(args)
        return result
    except (SteplineError, ImportError) as error:
        print(f"stepline: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="stepline", description="Experiment metrics.")
    parser.add_argument("--version", action="version", version=f"stepline {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        module.add(commands.add_parser(name, help=module.HELP, description=module.HELP))
    return parser
