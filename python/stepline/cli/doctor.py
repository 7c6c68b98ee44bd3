"""`stepline doctor`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import SteplineError, from_core
from ..settings import find_api_key, find_server
from ..tls import find_tls
from .options import add_json, add_store
from .output import Column, print_table, until_closed
from .progress import Bar
from .service import imported

HELP = "audit a store from what is stored in it"

CLEAN, WRONG, UNCHECKED = 0, 1, 2

_EPILOG = (
    "exit code: 0 nothing is wrong, 1 something is, 2 the store could not be read. "
    "A directory is locked meanwhile, so its service must be stopped; --server asks one that runs."
)
_COLUMNS = (Column("finding"), Column("where", wrap=True), Column("what", wrap=True))


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = _EPILOG
    add_store(parser, server="a service that runs; needs a key with the scope admin", dsn=True)
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="build damaged rollups again from the points, and audit anew (not with --server)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what was found and what to do about it."""
    if args.rebuild and args.server:
        print("stepline: --rebuild needs --data or --store: stop the service", file=sys.stderr)
        return UNCHECKED
    try:
        found = _ask(find_server(args.server), args.api_key) if args.server else _audit(args)
    except (SteplineError, ImportError) as error:
        print(f"stepline: {error}", file=sys.stderr)
        return UNCHECKED
    with until_closed():
        if args.json:
            print(json.dumps(found))
        else:
            _print(found)
    return WRONG if found["findings"] else CLEAN


def _audit(args: argparse.Namespace) -> dict[str, Any]:
    """The report as a JSON object; with --rebuild, of what is left, and what was built again."""
    doctor = imported("stepline_ingest.doctor")
    store_error: type[Exception] = imported("stepline_ingest.store.errors").StoreError
    rebuilt: list[str] = []
    try:
        store = doctor.open_for_audit(args.store, (args.data or Path()).expanduser())
        try:
            with Bar("auditing", total=1) as bar:

                def show(step: Any) -> None:
                    bar.show(step.done, total=step.total, what=step.what)

                report = doctor.audit(store, progress=show)
                if args.rebuild:
                    rebuilt = doctor.rebuild(store, report.findings, progress=show)
                if rebuilt:
                    report = doctor.audit(store, progress=show)
        finally:
            store.close()
    except store_error as error:
        raise SteplineError(f"The store cannot be audited: {error}{_remedy(error)}") from None
    found: dict[str, Any] = report.to_json()
    return {**found, "rebuilt": rebuilt} if args.rebuild else found


def _remedy(error: Any) -> str:
    """What the engine itself says names none."""
    if error.code is None:
        return ""
    if "Permission denied" in str(error):
        return "; run this as the user of the service"
    return "; run the doctor again, and report this if it stays"


def _ask(server: str, api_key: str | None) -> dict[str, Any]:
    """The report of a running service."""
    findings: list[dict[str, Any]] = []
    report: dict[str, Any] = {}
    try:
        connection = _core.Connection(server, api_key=find_api_key(api_key), **find_tls())
        with Bar("auditing", total=1) as bar:
            for event in connection.doctor():
                if "done" in event:
                    bar.show(event["done"], total=event["total"], what=event["what"])
                elif "remedy" in event:
                    findings.append({**event, "place": _place(event)})
                elif "points" in event:
                    report = event
    except _core.CoreError as error:
        raise from_core(error, server=server) from None
    if not report:
        raise SteplineError("The service ended the audit early: its log says why.")
    return {"clean": not findings, **report, "findings": findings}


def _place(finding: dict[str, Any]) -> str:
    parts = [
        f"{name} {finding[name]}"
        for name in ("run", "attempt", "rank", "writer")
        if finding[name] not in (None, "")
    ]
    return ", ".join(parts)


def _print(found: dict[str, Any]) -> None:
    findings: list[dict[str, Any]] = found["findings"]
    if found.get("rebuilt"):
        print(f"built again: {', '.join(found['rebuilt'])}")
    points, writers, runs = (_many(found[name + "s"], name) for name in ("point", "writer", "run"))
    size = f"{points} of {writers} in {runs}"
    if found["rejected"]:
        size += f", {_many(found['rejected'], 'sequence')} recorded as rejected or lost"
    if found.get("expired"):
        size += f", {_many(found['expired'], 'point')} expired with rollups kept"
    if not findings:
        print(f"nothing is wrong: {size}")
        return
    print(f"{_many(len(findings), 'finding')} in {size}")
    print_table(_COLUMNS, ((f["kind"], f["place"], f["message"]) for f in findings))
    for kind, remedy in _remedies(findings):
        print(f"{kind}: {remedy}")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _remedies(findings: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((f["kind"], f["remedy"]) for f in findings))
