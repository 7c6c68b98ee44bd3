"""Sending what lies in spools, and telling what became of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import _core
from .errors import InvalidRequest, sentence
from .tls import find_tls

Outcome = Literal["stored", "left", "damaged"]

_WRITER = re.compile(r"[0-9a-f]{32}")
READ_ONLY = (
    "the directory cannot be written to, and sending needs its lock and its notes: copy it with "
    "`cp -a` to a place where this user may write, and sync the copy"
)


@dataclass(kw_only=True)
class Sent:
    """What became of one spool. Counts are calls of log()."""

    path: str
    run_id: str
    rank: int
    writer: str
    outcome: Outcome
    """stored: all of it, and the spool is gone. left: something is still there. damaged: all that
    could be read is stored, and something was lost."""
    sent: int
    left: int
    bytes: int
    """That lay there before."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    """First and last of the sequences that could not be read; the service recorded them as gaps."""
    damaged: list[str] = field(default_factory=list)
    """Segments that were set aside."""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """An object of `stepline sync --json`."""
        return asdict(self)


def find_spools(places: Iterable[Path]) -> list[_core.SpoolStatus]:
    """The spools in PLACES, each a spool or a directory of spools. A spool that is gone has been
    sent. Raises InvalidRequest for a place that never was one.
    """
    found: dict[str, _core.SpoolStatus] = {}
    for place in places:
        root = str(place.absolute())
        if not place.is_dir():
            if _WRITER.fullmatch(place.name) and place.absolute().parent.is_dir():
                continue
            raise InvalidRequest(
                f"{place} is no directory: `stepline status` shows where spools lie."
            )
        try:
            one = _core.spool_status(root)
            spools = [one] if one is not None else _core.spool_scan(root)
        except _core.CoreError as error:
            raise InvalidRequest(f"{sentence(str(error))} Pass another directory.") from None
        found |= {spool["path"]: spool for spool in spools}
    return list(found.values())


def calls_left(spools: Iterable[_core.SpoolStatus]) -> int:
    """Calls that are not known to be stored."""
    return sum(max(0, spool["last_seq"] - spool["acked_seq"]) for spool in spools)


def send(
    spools: Sequence[_core.SpoolStatus],
    *,
    server: str | None,
    api_key: str | None,
    timeout: float | None,
) -> list[Sent]:
    """Sends SPOOLS, many at a time. May be repeated, interrupted and killed: the service stores
    each point once. Raises CoreError.
    """
    before = {spool["path"]: set(_set_aside(spool)) for spool in spools}
    writable = [spool["path"] for spool in spools if os.access(spool["path"], os.W_OK | os.X_OK)]
    left = _core.drain_spools(
        writable, server=server, api_key=api_key, timeout=timeout, **find_tls()
    )
    now = {spool["path"]: spool for spool in left}
    return [
        _told(
            spool,
            now.get(spool["path"]),
            damaged=sorted(set(_set_aside(spool)) - before[spool["path"]]),
            read_only=spool["path"] not in writable and Path(spool["path"]).is_dir(),
        )
        for spool in spools
    ]


def lost_ranges(service: _core.Connection, sent: Sent) -> list[tuple[int, int]]:
    """What the service recorded as lost before it could be sent."""
    head = service.writer_digests(sent.run_id, bytes.fromhex(sent.writer), 1, 0, 1)
    return [(a, b) for a, b, reason in head["rejected"] if "lost before upload" in reason]


def _told(
    spool: _core.SpoolStatus,
    now: _core.SpoolStatus | None,
    *,
    damaged: list[str],
    read_only: bool,
) -> Sent:
    waited = calls_left([spool])
    if read_only:
        left, error = waited, READ_ONLY
    elif now is None:
        left, error = 0, ""
    else:
        left, error = calls_left([now]), now["error"]
    if left and not error:
        error = "it is still being written, or another process sends it"
    hurt = bool(damaged) or "damaged segments" in error
    # An ended spool that stays with nothing to send could not tell how its run ended.
    stays = left > 0 or (now is not None and not now["alive"] and bool(error) and not hurt)
    return Sent(
        path=spool["path"],
        run_id=spool["run_id"],
        rank=spool["rank"],
        writer=spool["writer"],
        outcome="left" if stays else "damaged" if hurt else "stored",
        sent=max(0, waited - left),
        left=left,
        bytes=spool["bytes"],
        damaged=damaged,
        error=error,
    )


def _set_aside(spool: _core.SpoolStatus) -> list[str]:
    """Damaged segments of the spool, kept beside it."""
    path = Path(spool["path"])
    return [str(segment) for segment in path.parent.glob(f"{path.name}-*.bad")]
