"""`stepline sync`."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from .. import _core
from ..errors import InvalidRequest, from_core
from ..settings import find_api_key, find_server
from ..tls import find_tls

HELP = "send what lies in a spool directory"

_REFRESH = 0.2


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("dir", type=Path, help="a directory of spools, or one spool")
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="default: where each run wanted to send to"
    )
    parser.add_argument("--api-key", metavar="KEY", help="default: $STEPLINE_API_KEY")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after so long")


def run(args: argparse.Namespace) -> int:
    """Sends, and says what is left. Returns 1 when something is."""
    if not args.dir.is_dir():
        raise InvalidRequest(
            f"{args.dir} is no directory: `stepline status` shows where spools lie."
        )
    root = str(args.dir.absolute())
    waiting = _spools(root)
    with _Progress(root, _calls(waiting)):
        try:
            left = _core.drain(
                root,
                server=find_server(args.server) if args.server else None,
                api_key=find_api_key(args.api_key),
                **find_tls(),
                timeout=args.timeout,
            )
        except _core.CoreError as error:
            raise from_core(error, server=args.server or "the server") from None
    for spool in left:
        calls = spool["last_seq"] - spool["acked_seq"]
        why = spool["error"] or "it is still being written, or another process sends it"
        print(
            f"stepline: run {spool['run_id']} rank {spool['rank']}: {calls:,} calls left in "
            f"{spool['path']} ({why})",
            file=sys.stderr,
        )
    if not left:
        print(
            f"nothing is left in {args.dir}: {_calls(waiting):,} calls of {len(waiting)} spools "
            "sent"
        )
    return 1 if left else 0


def _spools(root: str) -> list[_core.SpoolStatus]:
    """Of a spool root, or of one spool."""
    one = _core.spool_status(root)
    return [one] if one is not None else _core.spool_scan(root)


def _calls(spools: list[_core.SpoolStatus]) -> int:
    return sum(max(0, spool["last_seq"] - spool["acked_seq"]) for spool in spools)


class _Progress:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, root: str, total: int) -> None:
        self._root = root
        self._total = total
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        if sys.stderr.isatty() and self._total:
            self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("sending", total=self._total)
            while not self._over.wait(_REFRESH):
                progress.update(task, completed=self._total - _calls(_spools(self._root)))
