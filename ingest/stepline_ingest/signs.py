"""Which ranks of an attempt live, by the clock of this process.

Invariants
- A rank that has ended is not remembered, so a rank that lives is one that was heard of within the
  time of a lease.
- Nothing of this is stored: after a start nobody was heard of yet.
- Which ranks are silent is known only of attempts whose hosts say which ranks they have, all of
  them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field

Key = tuple[str, int]
"""A run id and the number of an attempt."""

_KEPT = 3_600.0
"""Seconds after which an attempt of which nothing was heard is forgotten."""


@dataclass(slots=True)
class _Ranks:
    first: float
    """Heard of; the clock of this process, as all times here."""
    heard: float
    """Of any rank, last."""
    seen: dict[int, float] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)
    """Those that have ended; what is left of them may be on its way for a while."""
    by_rank: bool | None = None
    """Whether heartbeats say which ranks live; None before the first one."""


class Signs:
    """When each rank was heard of last."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A rank without a sign of life for so many SECONDS is silent."""
        self.seconds = seconds
        self._clock = clock
        self._attempts: OrderedDict[Key, _Ranks] = OrderedDict()
        """Those that were heard of longest ago come first."""

    def __len__(self) -> int:
        return len(self._attempts)

    def began(self, key: Key, rank: int) -> None:
        """The rank begins, or begins to send."""
        entry = self._hear(key)
        entry.over.discard(rank)
        entry.seen[rank] = self._clock()

    def beat(self, key: Key, ranks: Collection[int]) -> None:
        """A heartbeat for some ranks of a host; without one it does not say for which."""
        entry = self._hear(key)
        now = self._clock()
        entry.by_rank = bool(ranks) and entry.by_rank is not False
        entry.seen.update((rank, now) for rank in ranks if rank not in entry.over)

    def ended(self, key: Key, rank: int) -> None:
        """The rank has ended."""
        entry = self._attempts.get(key)
        if entry is not None:
            entry.seen.pop(rank, None)
            entry.over.add(rank)

    def living(self, key: Key) -> int | None:
        """How many ranks live; None where hosts do not say which."""
        entry = self._attempts.get(key)
        if entry is None or not entry.by_rank:
            return None
        return self._living(entry)

    def any_living(self, key: Key) -> bool | None:
        """Whether a rank lives; None where nobody can know."""
        entry = self._attempts.get(key)
        if entry is not None and self._living(entry):
            return True
        return False if entry is not None and entry.by_rank else None

    def silent(
        self, key: Key, world_size: int, ended: Container[int]
    ) -> list[tuple[int, float | None]]:
        """The ranks that have not ENDED and are silent, with the seconds since their last sign of
        life; None when there was none since this process began."""
        entry = self._attempts.get(key)
        now = self._clock()
        if entry is None or not entry.by_rank:
            return []
        # Ranks have time to begin, and hosts to find a service that has just begun.
        unheard = now - entry.first >= 2 * self.seconds
        found = []
        for rank in range(world_size):
            seen = entry.seen.get(rank)
            if rank not in ended and (unheard if seen is None else now - seen >= self.seconds):
                found.append((rank, None if seen is None else now - seen))
        return found

    def _living(self, entry: _Ranks) -> int:
        since = self._clock() - self.seconds
        return sum(seen > since for seen in entry.seen.values())

    def _hear(self, key: Key) -> _Ranks:
        now = self._clock()
        entry = self._attempts.get(key)
        if entry is None:
            entry = self._attempts[key] = _Ranks(now, now)
        entry.heard = now
        self._attempts.move_to_end(key)
        oldest = next(iter(self._attempts.values()))
        if now - oldest.heard > _KEPT:
            self._attempts.popitem(last=False)
        return entry
