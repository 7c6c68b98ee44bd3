"""Which attempts live: who holds a run, by the clock of this process.

Invariants
- The lease of a run is that of its newest attempt, and the number of the attempt is its fencing
  token: it only grows, and what an older attempt still sends is stored under its own number, where
  the newer one supersedes it.
- A sign of life is that the attempt began, a heartbeat, or an open stream of a writer that never
  sent a heartbeat. Clocks of other machines do not matter.
- Nothing of this is stored. What runs according to the tables has a period of grace after this
  process began, or stood still: until then nobody could have heard the others.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stepline_ingest.signs import Key, Signs


@dataclass(slots=True)
class _Lease:
    seen: float
    """Of the clock of this process."""
    project: str
    beats: bool = False
    superseded: bool = False


class Leases:
    """The attempts that live, and those that did a moment ago."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """An attempt without a sign of life for so many SECONDS has crashed."""
        self.seconds = seconds
        self.signs = Signs(seconds, clock)
        """Of the ranks of attempts, each by itself."""
        self._clock = clock
        self._leases: OrderedDict[Key, _Lease] = OrderedDict()
        """Those that were heard of longest ago come first."""
        self._looked = clock()
        self._not_before = self._looked
        """Until then nobody's time is over."""

    def __len__(self) -> int:
        return len(self._leases)

    def grant(self, run_id: str, attempt: int, project: str) -> None:
        """The attempt begins, or speaks again."""
        lease = self._leases.setdefault((run_id, attempt), _Lease(self._clock(), project))
        self._hear((run_id, attempt), lease)

    def wait(self, seconds: float) -> None:
        """For so long nobody's time is over."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def supersede(self, run_id: str, attempt: int) -> None:
        """A newer attempt has begun."""
        lease = self._leases.get((run_id, attempt))
        if lease is not None:
            lease.superseded = True

    def renew(self, run_id: str, attempt: int, project: str | None) -> bool | None:
        """A heartbeat, of a caller who may see PROJECT or everything. Whether the attempt is
        superseded; None when it is not known here.
        """
        lease = self._leases.get((run_id, attempt))
        if lease is None or project not in (None, lease.project):
            return None
        lease.beats = True
        self._hear((run_id, attempt), lease)
        return lease.superseded

    def end(self, run_id: str, attempt: int) -> None:
        """The attempt has ended."""
        self._leases.pop((run_id, attempt), None)

    def age(self, run_id: str, attempt: int) -> float | None:
        """Seconds since its last sign of life; None when it does not live."""
        lease = self._leases.get((run_id, attempt))
        return None if lease is None else max(0.0, self._clock() - lease.seen)

    def expired(self, streaming: Callable[[], Iterable[Key]] = tuple) -> list[Key]:
        """The attempts whose time is over, oldest first; STREAMING tells which have an open stream.
        Each is named again until it is ended.
        """
        now = self._clock()
        if now - self._looked > self.seconds:
            # This process stood still.
            self.wait(self.seconds)
        self._looked = now
        if now < self._not_before:
            return []
        late = self._late(now)
        silent = [key for key in late if not self._leases[key].beats]
        if silent:
            for key in set(silent).intersection(streaming()):
                self._hear(key, self._leases[key])
                late.remove(key)
        return late

    def _late(self, now: float) -> list[Key]:
        late = []
        for key, lease in self._leases.items():
            if now - lease.seen < self.seconds:
                break
            late.append(key)
        return late

    def _hear(self, key: Key, lease: _Lease) -> None:
        lease.seen = self._clock()
        self._leases.move_to_end(key)
