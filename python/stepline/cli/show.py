"""`stepline show`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..context.record import Context
from ..lineage import Attempt
from ..runs import RunInfo
from .attempts import ranks
from .options import add_json, add_server, client_of
from .output import print_json

HELP = "print what a run is, and from what it was started"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument("--attempt", type=int, default=0, help="a start of the run; the newest")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--diff", action="store_true", help="print the uncommitted changes only")
    form.add_argument("--packages", action="store_true", help="print NAME==VERSION lines only")
    add_json(form)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints one thing a line."""
    with client_of(args) as client:
        view = client.run(args.run)
        contexts = view.contexts(attempt=args.attempt)
        newest = view.lineage().attempts[-1]
    first = contexts[0] if contexts else Context(0, 0, {})
    if args.diff:
        print(first.get("diff", {}).get("diff", ""), end="")
    elif args.packages:
        for name, version in _packages(first).items():
            print(f"{name}=={version}")
    elif args.json:
        print_json(
            {"attempt": context.attempt, "rank": context.rank, **context} for context in contexts
        )
    else:
        for name, value in [*_run(view.info, newest), *_context(first), *_hosts(contexts)]:
            print(f"{name:<12} {value}")
    return 0


def _run(info: RunInfo, newest: Attempt) -> Iterator[tuple[str, object]]:
    yield "run", info.id
    yield "name", info.name
    yield "project", info.project
    yield "state", info.state if info.exit_code is None else f"{info.state} ({info.exit_code})"
    yield "created", info.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    yield "attempts", info.attempts
    yield "ranks", ranks(newest)
    for name in ("tags", "group", "job_type", "notes"):
        value = getattr(info, name)
        if value:
            yield name, ", ".join(value) if isinstance(value, tuple) else value


def _context(context: Context) -> Iterator[tuple[str, object]]:
    program, git = context.get("program", {}), context.get("git", {})
    for name in ("command", "directory", "user", "python"):
        if program.get(name):
            yield name, program[name]
    if git:
        state = " with uncommitted changes" if git.get("dirty") else ""
        branch = f" ({git['branch']})" if git.get("branch") else ""
        yield "commit", f"{git.get('commit', 'none yet')}{branch}{state}"
        if git.get("remote"):
            yield "remote", git["remote"]
    if "diff" in context:
        size = len(context["diff"]["diff"].encode())
        cut = ", cut" if context["diff"].get("cut") else ""
        yield "diff", f"{size:,} bytes{cut}: see --diff"
    packages = _packages(context)
    if packages:
        yield "packages", f"{len(packages)}: see --packages"


def _hosts(contexts: list[Context]) -> Iterator[tuple[str, object]]:
    for context in contexts:
        machine = context.get("machine", {})
        if machine:
            gpus = [gpu["name"] for gpu in machine.get("gpus", [])]
            words = [f"{machine.get('cpus', '?')} CPUs", _gibibytes(machine.get("memory", 0))]
            words += [f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus)]
            yield f"host {context.rank}", f"{machine.get('host', '?')}: {', '.join(words)}"


def _packages(context: Context) -> dict[str, Any]:
    found: dict[str, Any] = context.get("packages", {}).get("packages", {})
    return found


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
