"""`stepline verify`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from .. import _core, receipts
from ..errors import InvalidRequest, SteplineError, from_core, sentence
from ..receipts import Receipt
from ..settings import check_run_id, find_api_key, find_dir, find_server
from ..tls import find_tls
from ..verification import Verdict, verify_count, verify_spool
from .options import add_json
from .output import Column, print_table, until_closed
from .progress import Bar

HELP = "compare what was logged here with what the service has stored"

EQUAL, DIFFERENT, UNCHECKED = 0, 1, 2

_EPILOG = (
    "exit code: 0 everything that is here is stored, bit for bit; 1 something differs, is lost, or "
    "is not stored yet; 2 it could not be checked. Of points that were acknowledged and deleted "
    "here a receipt of checksums is compared (kept for 30 days); without one they are counted."
)
_COLUMNS = (
    Column("run"),
    Column("rank", number=True),
    Column("writer"),
    *(Column(name, number=True) for name in ("points", "calls", "freed", "unsent", "rejected")),
    Column("outcome"),
)
_TIMEOUT = 120.0


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "dir",
        type=Path,
        nargs="?",
        help="a directory of spools, or one spool (default: $STEPLINE_DIR or "
        "~/.local/state/stepline)",
    )
    parser.add_argument(
        "--run", metavar="RUN_ID", help="all writers of this run, also those without a spool here"
    )
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="default: where each run wanted to send to"
    )
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each writer, and what is wrong."""
    try:
        verdicts = _verify(args)
    except SteplineError as error:
        print(f"stepline: {error}", file=sys.stderr)
        return UNCHECKED
    with until_closed():
        if args.json:
            print(json.dumps([verdict.to_json() for verdict in verdicts]))
        else:
            _print(verdicts)
    outcomes = {verdict.outcome for verdict in verdicts}
    if outcomes & {"different", "incomplete"}:
        return DIFFERENT
    return EQUAL if outcomes and "unknown" not in outcomes else UNCHECKED


def _verify(args: argparse.Namespace) -> list[Verdict]:
    root = find_dir(args.dir)
    if args.dir is not None and not root.is_dir():
        raise InvalidRequest(f"{root} is no directory: `stepline status` shows where spools lie.")
    spools = _spools(str(root))
    services = _Services(args.server, find_api_key(args.api_key))
    if args.run is not None:
        check_run_id(args.run)
        spools = [spool for spool in spools if spool["run_id"] == args.run]
    verdicts: list[Verdict] = []
    done = 0
    with Bar("comparing", total=sum(spool["last_seq"] for spool in spools)) as bar:
        for spool in spools:
            before = done
            server = find_server(args.server or spool["server"])
            try:
                verdict = verify_spool(
                    spool["path"],
                    services.at(server, spool["path"]),
                    progress=lambda seq, before=before: bar.show(before + seq),  # type: ignore[misc]
                )
            except _core.CoreError as error:
                verdict = _unchecked(spool, str(from_core(error, server=server)))
            done += spool["last_seq"]
            if verdict is not None:
                verdicts.append(verdict)
    if args.run is not None:
        kept = receipts.of_run(root, args.run)
        verdicts += _elsewhere(args, services, {verdict.writer for verdict in verdicts}, kept)
    return verdicts


def _elsewhere(
    args: argparse.Namespace, services: _Services, here: set[str], kept: dict[str, Receipt]
) -> list[Verdict]:
    """The writers of the run that have no spool here, compared with what is kept of them."""
    server = find_server(args.server)
    service = services.at(server, None)
    try:
        return [
            verify_count(args.run, writer, rank, service, kept.get(writer.hex()))
            for writer, _, rank in service.list_writers(args.run)
            if writer.hex() not in here
        ]
    except _core.CoreError as error:
        raise from_core(error, server=server) from None


def _spools(root: str) -> list[_core.SpoolStatus]:
    """Of a spool root, or of one spool."""
    try:
        one = _core.spool_status(root)
        return [one] if one is not None else _core.spool_scan(root)
    except _core.CoreError as error:
        raise InvalidRequest(f"{sentence(str(error))} Pass another directory.") from None


def _unchecked(spool: _core.SpoolStatus, why: str) -> Verdict:
    return Verdict(
        writer=spool["writer"],
        run_id=spool["run_id"],
        rank=spool["rank"],
        path=spool["path"],
        outcome="unknown",
        notes=[why],
    )


class _Services:
    """A connection for each server and key."""

    def __init__(self, server: str | None, api_key: str | None) -> None:
        self._server = server
        self._api_key = api_key
        self._connections: dict[tuple[str, str | None], _core.Connection] = {}

    def at(self, server: str, spool: str | None) -> _core.Connection:
        """With the key that was given, or the one that SPOOL holds. Raises SteplineError."""
        key = self._api_key or (_key_of(spool) if spool is not None else None)
        place = (server, key)
        if place not in self._connections:
            try:
                self._connections[place] = _core.Connection(
                    server, api_key=key, timeout=_TIMEOUT, **find_tls()
                )
            except _core.CoreError as error:
                raise from_core(error, server=server) from None
        return self._connections[place]


def _key_of(spool: str) -> str | None:
    try:
        meta: dict[str, Any] = json.loads(Path(spool, "spool.json").read_text())
    except (OSError, ValueError):
        return None
    key = meta.get("api_key")
    return key if isinstance(key, str) else None


def _print(verdicts: list[Verdict]) -> None:
    if not verdicts:
        print("there is no spool here to compare; `stepline verify --run RUN_ID` asks by run")
        return
    print_table(
        _COLUMNS,
        (
            (
                verdict.run_id,
                str(verdict.rank),
                verdict.writer[:13],
                f"{verdict.points:,}",
                f"{verdict.compared:,}",
                f"{verdict.freed:,}",
                f"{verdict.unsent:,}",
                f"{sum(b - a + 1 for a, b, _ in verdict.rejected):,}",
                verdict.outcome,
            )
            for verdict in verdicts
        ),
    )
    for verdict in verdicts:
        for line in _details(verdict):
            print(f"run {verdict.run_id} rank {verdict.rank} writer {verdict.writer}: {line}")


def _details(verdict: Verdict) -> list[str]:
    lines = [difference.text for difference in verdict.differences]
    lines += [f"sequences {a}..{b} are lost" for a, b in verdict.lost]
    lines += [f"sequences {a}..{b} were rejected: {reason}" for a, b, reason in verdict.rejected]
    if verdict.unsent:
        lines.append(
            f"{verdict.unsent:,} calls are not stored yet; send them with: "
            f"stepline sync {shlex.quote(verdict.path)}"
        )
    if verdict.beyond:
        lines.append(f"the service has {verdict.beyond:,} calls that are not in this copy")
    return lines + verdict.notes
