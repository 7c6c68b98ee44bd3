"""Spools that wait on this host for this very service: somebody trained before it was started.

Only what was meant for this address is taken: the port is the one that was asked for (never one
that the system chose, which nobody can have meant), the host is this one. Offline spools wait for
`stepline sync`, as their runs said. A child process sends them, by the same code as `stepline
sync`: it may be killed at any time, and nothing is lost or doubled by that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

from stepline import _core
from stepline.settings import find_dir
from stepline.uploader import child_environment
from stepline_ingest.config import is_loopback

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Spools of one child: a command line has an end."""
_FAREWELL = 2.0
_WILDCARDS = frozenset({"0.0.0.0", "::", "[::]", ""})


class WaitingSpools:
    """Takes in what waits under ROOT for the service at HOST:PORT, once."""

    def __init__(self, host: str, port: int, *, root: Path | None = None) -> None:
        self._host = host
        self._port = port
        self._root = root if root is not None else find_dir()
        self._child: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Returns when all were tried. What goes wrong is logged: it is no trouble of the service's
        own."""
        try:
            found = await asyncio.to_thread(self.find)
            for begin in range(0, len(found), AT_ONCE):
                await self._take_in(found[begin : begin + AT_ONCE])
        except (_core.CoreError, OSError, ValueError) as error:
            log.warning(
                "the spools in %s cannot be taken in: %s; `stepline sync %s` sends them",
                self._root,
                error,
                self._root,
            )

    def find(self) -> list[_core.SpoolStatus]:
        """The spools with something left for this service. Blocks; raises CoreError."""
        spools = [
            spool
            for spool in _core.spool_scan(str(self._root))
            if is_meant(spool["server"], self._host, self._port)
        ]
        offline = [spool for spool in spools if spool["mode"] == "offline"]
        if offline:
            log.info(
                "%d offline spools in %s wait for `stepline sync %s`",
                len(offline),
                self._root,
                self._root,
            )
        # An ended spool with nothing left is sent too: its run may not be finished yet.
        return [
            spool
            for spool in spools
            if spool["mode"] != "offline"
            and (not spool["alive"] or spool["acked_seq"] < spool["last_seq"])
        ]

    async def _take_in(self, spools: list[_core.SpoolStatus]) -> None:
        calls = sum(max(0, spool["last_seq"] - spool["acked_seq"]) for spool in spools)
        log.info(
            "taking in %d spools that waited in %s, %d calls; --no-sync leaves them there",
            len(spools),
            self._root,
            calls,
            extra={"event": "waiting_spools", "spools": len(spools), "calls": calls},
        )
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stepline.cli", "sync", "--json"),
            *(spool["path"] for spool in spools),
            env=child_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            answer, _ = await self._child.communicate()
        finally:
            await self._end()
        self._tell(json.loads(answer or b"[]"))

    def _tell(self, outcomes: list[dict[str, Any]]) -> None:
        sent = sum(outcome["sent"] for outcome in outcomes)
        left = [outcome for outcome in outcomes if outcome["outcome"] == "left"]
        log.info(
            "took in %d calls of %d spools; %d spools have something left",
            sent,
            len(outcomes),
            len(left),
            extra={"event": "waiting_spools_done", "calls": sent, "left": len(left)},
        )
        for outcome in outcomes:
            if outcome["error"]:
                log.warning("spool %s: %s", outcome["path"], outcome["error"])

    async def _end(self) -> None:
        """Ends the child, when it still runs: what it had not sent stays where it is."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), _FAREWELL)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def is_meant(server: str, host: str, port: int) -> bool:
    """Whether a spool for SERVER is for the service that listens on HOST:PORT of this machine."""
    address = server.split("://", 1)[-1].rstrip("/")
    name, _, digits = address.rpartition(":")
    if not digits.isdecimal() or int(digits) != port:
        return False
    own = host.strip("[]").lower()
    name = name.strip("[]").lower()
    if name == own:
        return True
    if is_loopback(name):
        return is_loopback(own) or own in _WILDCARDS
    return own in _WILDCARDS and name in _names()


def _names() -> set[str]:
    """What this machine is called."""
    name = socket.gethostname().lower()
    return {name, name.split(".", 1)[0], socket.getfqdn().lower()}
