"""Which ranks of an attempt live, by the clock of this process.

Invariants
- A rank that has ended is not remembered, so a rank that lives is one that was heard of within the
  time of a lease.
- No rank is remembered that lies beyond the world of its attempt, and of all attempts no more than
  MOST_RANKS, but for the one that was heard of last.
- Nothing of this is stored: after a start nobody was heard of yet.
- Which ranks are silent is known only of attempts whose hosts say which ranks they have, all of
  them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field
from itertools import islice

Key = tuple[str, int]
"""A run id and the number of an attempt."""

_KEPT = 3_600.0
"""Seconds after which an attempt of which nothing was heard is forgotten."""
MOST_RANKS = 2_097_152
"""Remembered of all attempts together; beyond, the attempts heard of longest ago are forgotten."""


@dataclass(slots=True)
class _Ranks:
    first: float
    """Heard of; the clock of this process, as all times here."""
    heard: float
    """Of any rank, last."""
    seen: dict[int, float] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)
    """Those that have ended; what is left of them may be on its way for a while."""
    writers: dict[int, bytes] = field(default_factory=dict)
    """The newest one of each rank, as far as this process saw it begin."""
    world_size: int = 0
    by_rank: bool | None = None
    """Whether heartbeats say which ranks live; None before the first one."""
    counted: int = 0
    """Of what it holds, in the sum over all attempts."""


class Signs:
    """When each rank was heard of last."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A rank without a sign of life for so many SECONDS is silent."""
        self.seconds = seconds
        self._clock = clock
        self._attempts: OrderedDict[Key, _Ranks] = OrderedDict()
        """Those that were heard of longest ago come first."""
        self._held = 0
        """Ranks, of all attempts."""

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, key: Key) -> bool:
        """Whether the attempt was heard of here."""
        return key in self._attempts

    def began(self, key: Key, rank: int, *, world_size: int, writer: bytes | None = None) -> None:
        """The rank begins, or begins to send; with WRITER, which is its newest one then."""
        entry = self._hear(key, world_size)
        entry.over.discard(rank)
        entry.seen[rank] = self._clock()
        if writer is not None:
            entry.writers[rank] = writer
        self._count(entry)

    def writer(self, key: Key, rank: int) -> bytes | None:
        """The newest one of the rank; None where this process did not see it begin."""
        entry = self._attempts.get(key)
        return None if entry is None else entry.writers.get(rank)

    def beat(self, key: Key, ranks: Collection[int], *, world_size: int = 0) -> None:
        """A heartbeat for some ranks of a host; without one it does not say for which. Without
        WORLD_SIZE it is that which was told before; no further ranks are heard."""
        entry = self._hear(key, world_size)
        now, size = self._clock(), entry.world_size
        entry.by_rank = bool(ranks) and entry.by_rank is not False
        entry.seen.update((rank, now) for rank in ranks if rank < size and rank not in entry.over)
        self._count(entry)

    def ended(self, key: Key, rank: int) -> None:
        """The rank has ended."""
        entry = self._attempts.get(key)
        if entry is not None:
            entry.seen.pop(rank, None)
            entry.over.add(rank)
            self._count(entry)

    def living(self, key: Key, ended: Container[int]) -> int | None:
        """How many ranks live, none of those that have ENDED; None where hosts do not say which."""
        entry = self._attempts.get(key)
        if entry is None or not entry.by_rank:
            return None
        return self._living(entry, ended)

    def any_living(self, key: Key, ended: Container[int]) -> bool | None:
        """Whether a rank lives that has not ENDED; None where nobody can know."""
        entry = self._attempts.get(key)
        if entry is not None and self._living(entry, ended):
            return True
        return False if entry is not None and entry.by_rank else None

    def silent(
        self, key: Key, world_size: int, ended: Mapping[int, object], *, at_most: int
    ) -> tuple[list[tuple[int, float | None]], int]:
        """The ranks that have not ENDED and are silent, with the seconds since their last sign of
        life; None when there was none since this process began. The lowest AT_MOST of them, and how
        many there are."""
        entry = self._attempts.get(key)
        now = self._clock()
        if entry is None or not entry.by_rank:
            return [], 0
        found: list[tuple[int, float | None]] = [
            (rank, now - seen)
            for rank, seen in entry.seen.items()
            if rank not in ended and now - seen >= self.seconds
        ]
        count = len(found)
        # Ranks have time to begin, and hosts to find a service that has just begun.
        if now - entry.first >= 2 * self.seconds:
            # A world may be large and hardly heard of, so it is not counted rank by rank.
            told = entry.seen.keys() | ended.keys()
            count += max(0, world_size - len(told))
            unheard = (rank for rank in range(world_size) if rank not in told)
            found += [(rank, None) for rank in islice(unheard, at_most)]
        return sorted(found, key=lambda one: one[0])[:at_most], count

    def _living(self, entry: _Ranks, ended: Container[int]) -> int:
        since = self._clock() - self.seconds
        return sum(seen > since and rank not in ended for rank, seen in entry.seen.items())

    def _hear(self, key: Key, world_size: int) -> _Ranks:
        now = self._clock()
        entry = self._attempts.get(key)
        if entry is None:
            entry = self._attempts[key] = _Ranks(now, now)
        entry.heard = now
        entry.world_size = max(entry.world_size, world_size)
        self._attempts.move_to_end(key)
        oldest = next(iter(self._attempts.values()))
        if now - oldest.heard > _KEPT:
            self._forget_oldest()
        return entry

    def _count(self, entry: _Ranks) -> None:
        held = len(entry.seen) + len(entry.over)
        self._held += held - entry.counted
        entry.counted = held
        while self._held > MOST_RANKS and len(self._attempts) > 1:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, oldest = self._attempts.popitem(last=False)
        self._held -= oldest.counted
