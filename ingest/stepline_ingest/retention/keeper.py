"""Lets months expire in time, in a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stepline_ingest.metrics import metrics
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from .cells import Stopped
from .fill import expire, recover
from .months import find_months, month_text

log = logging.getLogger(__name__)

JUMP = 60.0
"""Seconds by which the clock has to move for that."""


class Keeper:
    """Replaces the months of which all is older than KEEP seconds, until `stop`; it looks every
    INTERVAL seconds. For DELAY seconds after the start, and after the clock was set, nothing
    expires: a clock that is wrong has been put right by then."""

    def __init__(
        self,
        store: Store,
        keep: float,
        *,
        interval: float,
        delay: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keep = keep
        self._interval = interval
        self._delay = delay
        self._now = now
        self._since = time.monotonic()
        self._offset = now() - time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the store nothing more. What was not finished is, or begins anew, at the next
        start."""
        self._stopping.set()

    def look(self) -> int:
        """Replaces what is due; how many points went. Ends early when the clock is set meanwhile.
        Raises StoreError, Stopped."""
        # Of a fill of ours for which the store failed; none runs now.
        recover(self._store, between=self._rest)
        gone = 0
        for month in find_months(self._store):
            if self._clock_was_set():
                break
            # Not what the clock says now: it may be set at any moment.
            if not month.is_due(self._keep, self._offset + time.monotonic()):
                continue
            self._between()
            name = month_text(month.number)
            log.info("replacing %d points of %s by their rollups", month.points, name)
            begun = time.monotonic()
            points = expire(self._store, month.number, between=self._rest)
            if points is None:
                continue
            gone += points
            metrics.expired(points)
            log.info(
                "%d points of %s have expired, their rollups are kept",
                points,
                name,
                extra={"event": "expired", "seconds": time.monotonic() - begun},
            )
        return gone

    def _run(self) -> None:
        wait = min(self._delay, self._interval)
        while not self._stopping.wait(wait):
            wait = self._interval
            if not self._trusts_the_clock():
                wait = min(self._delay, self._interval)
                continue
            try:
                self.look()
            except Stopped:
                return
            except StoreError as error:
                metrics.expiry_failed()
                log.warning("points could not be replaced, trying again: %s", error)

    def _trusts_the_clock(self) -> bool:
        return not self._clock_was_set() and time.monotonic() - self._since >= self._delay

    def _clock_was_set(self) -> bool:
        """Since this was asked last."""
        offset = self._now() - time.monotonic()
        was_set = abs(offset - self._offset) > JUMP
        if was_set:
            log.warning("the clock was set: no points expire for %.0f s", self._delay)
            self._since = time.monotonic()
        self._offset = offset
        return was_set

    def _between(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _rest(self) -> None:
        """Between two pieces, for those who wait for the engine."""
        if self._stopping.wait(_REST):
            raise Stopped


_REST = 0.2
"""Seconds."""
