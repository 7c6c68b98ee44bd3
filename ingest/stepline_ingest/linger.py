"""How long a batch waits for company before its group is committed."""

from __future__ import annotations

from stepline_ingest.limits import Limits

# A window that is this many times longer than the gap between arrivals is worth waiting out.
_QUIET_SHARE = 8


class Linger:
    """Grows while batches arrive during an INSERT, shrinks as soon as none does.

    An INSERT costs the engine about the same for one row and for ten thousand, and every one makes
    a part that has to be merged later. So many small writers are worth a wait. One client that
    waits for its ack is not: nothing else can arrive, and the group closes after the shortest wait.
    Clients whose windows are full fall silent, which `quiet` notices.
    """

    def __init__(self, limits: Limits) -> None:
        self._min = limits.min_linger
        self._max = limits.max_linger
        self._window = limits.min_linger

    @property
    def window(self) -> float:
        """Seconds from the first batch of a group until it is closed at the latest."""
        return self._window

    @property
    def quiet(self) -> float:
        """Seconds without an arrival after which it is closed earlier."""
        return max(self._min, self._window / _QUIET_SHARE)

    def observe(self, *, arrived_meanwhile: bool) -> None:
        """Learns from one INSERT whether batches came while it ran."""
        if arrived_meanwhile:
            self._window = min(self._max, self._window * 2)
        else:
            self._window = max(self._min, self._window / 2)
