"""Looking at spools: how much of one is stored, and waiting until it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from . import _core

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_CHECK_EVERY = 1.0
_OUT_OF_REACH = frozenset({"unreachable", "connecting", "waiting"})


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the sending of one spool is."""

    path: str
    status: _core.SpoolStatus | None
    """None when the spool is gone, which means that all of it is stored."""

    @property
    def state(self) -> str:
        return "done" if self.status is None else self.status["state"]

    @property
    def error(self) -> str:
        return "" if self.status is None else self.status["error"]

    def count_left(self, last_seq: int, points: int) -> int:
        """How many of the POINTS up to LAST_SEQ the service has not stored."""
        if self.status is None:
            return 0
        return count_left(self.path, points, self.status["acked_seq"], last_seq)


def share_left(points: int, acked_seq: int, last_seq: int) -> int:
    """How many of POINTS up to LAST_SEQ come after ACKED_SEQ, by the share of the sequences.

    Exact when all or none of them do, and when every sequence has the same number of points.
    """
    queued = last_seq - acked_seq
    if queued <= 0:
        return 0
    return min(points, max(1, round(points * queued / last_seq)))


def count_left(path: str, points: int, acked_seq: int, last_seq: int) -> int:
    """Like `share_left`, but always exact: reads what is left of the spool where it has to."""
    share = share_left(points, acked_seq, last_seq)
    if share in (0, points):
        return share
    try:
        return min(points, _core.spool_left(path))
    except _core.CoreError:  # unreadable: the share has to do
        return share


def look(path: str) -> Progress:
    """The state of the spool at PATH right now."""
    return Progress(path=path, status=_core.spool_status(path))


def wait(
    path: str,
    *,
    seq: int | None,
    timeout: float | None,
    patience: float | None = None,
    tend: Callable[[], None] = lambda: None,
) -> Progress:
    """Until sequence SEQ is stored (None: the spool is drained and gone), or for TIMEOUT seconds.

    PATIENCE ends the waiting earlier when the service has been out of reach for that long. TEND is
    called about once a second, to keep the uploader alive.
    """
    start = tended = reached = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        progress = look(path)
        if _settled(progress, seq):
            return progress
        now = time.monotonic()
        if timeout is not None and now - start >= timeout:
            return progress
        if progress.state not in _OUT_OF_REACH:
            reached = now
        elif patience is not None and now - reached >= patience:
            return progress
        if now - tended >= _CHECK_EVERY:
            tend()
            tended = now
        left = _LONGEST_PAUSE if timeout is None else max(0.0, timeout - (now - start))
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _settled(progress: Progress, seq: int | None) -> bool:
    status = progress.status
    if status is None or status["state"] == "refused":
        return True
    if seq is not None:
        return status["acked_seq"] >= seq
    return status["state"] == "done" and status["acked_seq"] >= status["last_seq"]
