"""`stepline sync`."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import _core
from ..errors import from_core
from ..settings import find_api_key, find_server
from ..syncing import Sent, calls_left, find_spools, lost_ranges, send
from ..tls import find_tls
from .output import human_bytes, print_json, until_closed
from .progress import Bar

HELP = "send what lies in a spool directory"

_REFRESH = 0.2
_EPILOG = (
    "exit code: 0 everything is stored, 1 something is left or was lost. May be interrupted, "
    "killed and repeated, on a live run and on a copy: the service stores each point once."
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", type=Path, nargs="+", help="directories of spools, or single spools")
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="default: where each run wanted to send to"
    )
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after so long")
    parser.add_argument("--json", action="store_true", help="print JSON, one object for each spool")


def run(args: argparse.Namespace) -> int:
    """Sends, and says what is left and what was lost. Returns 1 when something is."""
    spools = find_spools(args.dir)
    with _progress(spools):
        try:
            outcomes = send(
                spools,
                server=find_server(args.server) if args.server else None,
                api_key=find_api_key(args.api_key),
                timeout=args.timeout,
            )
        except _core.CoreError as error:
            raise from_core(error, server=args.server or "the server") from None
    servers = {spool["path"]: spool["server"] for spool in spools}
    for sent in outcomes:
        if sent.outcome == "damaged":
            _find_lost(sent, args.server or servers[sent.path] or find_server(), args.api_key)
    with until_closed():
        if args.json:
            print_json(sent.to_json() for sent in outcomes)
        else:
            _tell(args.dir, outcomes)
    return 1 if any(sent.outcome != "stored" for sent in outcomes) else 0


def _find_lost(sent: Sent, server: str, api_key: str | None) -> None:
    """Asks the service which sequences it recorded as lost; without an answer it stays open."""
    try:
        service = _core.Connection(server, api_key=find_api_key(api_key), **find_tls())
        sent.lost = lost_ranges(service, sent)
    except _core.CoreError:
        return


def _tell(places: list[Path], outcomes: list[Sent]) -> None:
    for sent in outcomes:
        where = f"stepline: run {sent.run_id} rank {sent.rank}:"
        if sent.outcome == "left":
            print(
                f"{where} {sent.left:,} calls left in {sent.path} ({sent.error})", file=sys.stderr
            )
        if sent.outcome == "damaged":
            ranges = ", ".join(f"{a}..{b}" for a, b in sent.lost) or "of the damaged part"
            kept = ", ".join(sent.damaged) or sent.path
            print(
                f"{where} the sequences {ranges} are lost, a segment is damaged; the service has "
                f"recorded the gap, everything else is stored; the file is kept as {kept}",
                file=sys.stderr,
            )
    if all(sent.outcome == "stored" for sent in outcomes):
        where = ", ".join(str(place) for place in places)
        calls = sum(sent.sent for sent in outcomes)
        size = human_bytes(sum(sent.bytes for sent in outcomes))
        what = f"{calls:,} calls of {len(outcomes)} spools sent, {size}"
        print(f"nothing is left in {where}: {what}")


@contextmanager
def _progress(spools: list[_core.SpoolStatus]) -> Iterator[None]:
    """A bar in calls, with the bytes that are left beside it."""
    total = calls_left(spools)
    over = threading.Event()
    with Bar("sending", total=total) as bar:

        def show() -> None:
            while not over.wait(_REFRESH):
                now = [_core.spool_status(spool["path"]) for spool in spools]
                present = [spool for spool in now if spool is not None]
                done = max(0, total - calls_left(present))
                left = human_bytes(sum(spool["bytes"] for spool in present))
                bar.show(done, what=f"{done:,} of {total:,} calls, {left} left")

        thread = threading.Thread(target=show, daemon=True)
        if bar.visible and total:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.is_alive():
                thread.join()
