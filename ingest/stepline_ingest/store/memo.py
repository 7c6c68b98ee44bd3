"""What was computed from stored rows, kept while those rows are as they were.

The store notes every change that it makes, and has a memo of points, whose changes are those of
some runs, or, where it cannot tell, of all; and one of the rows of all other tables. What was kept
before a change counts no longer. So this is only for a store that nothing else writes to; the
others have memos that are not `trusted` and keep nothing.

A version is taken before something is read, and what was read is kept under it: rows that were
stored meanwhile, and may be part of it or not, have a version of their own once they count.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

CAPACITY = 128 << 20
"""Bytes, as those who keep something estimate them."""
ENTRY_BYTES = 500
"""Of an entry and its key, beside the value."""


def digest(what: object) -> bytes:
    """Stands for the repr() of WHAT, which may be long, in a key."""
    return hashlib.sha256(repr(what).encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class Version:
    """Of the points of some runs. Two that are equal mean equal points; `life` tells processes
    apart."""

    life: str
    number: int


@dataclass(frozen=True, slots=True)
class _Kept:
    version: Version
    value: Any
    size: int


class Memo:
    """For any thread. The least recently used goes first when CAPACITY is reached."""

    def __init__(self, *, trusted: bool, capacity: int = CAPACITY) -> None:
        self.trusted = trusted
        self._capacity = capacity
        self._life = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._clock = 0
        self._all = 0
        """When points of unknown runs changed last."""
        self._runs: dict[int, int] = {}
        """When those of a run did."""
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0

    def changed(self, runs: Collection[int] | None = None) -> None:
        """Points of RUNS are no longer what they were; of any run, when it is not known."""
        with self._lock:
            self._clock += 1
            if runs is None:
                self._all = self._clock
                self._runs.clear()
            else:
                self._runs.update(dict.fromkeys(runs, self._clock))

    def version(self, runs: Collection[int] | None = None) -> Version | None:
        """Of the points of RUNS, of all points without one; None when it cannot be known."""
        if not self.trusted:
            return None
        with self._lock:
            if runs is None:
                return Version(self._life, self._clock)
            latest = max((self._runs.get(run, 0) for run in runs), default=0)
            return Version(self._life, max(self._all, latest))

    def get(self, key: Hashable, version: Version | None) -> Any:
        """What was kept under KEY at VERSION, None when nothing was."""
        if version is None:
            return None
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.version != version:
                return None
            self._kept.move_to_end(key)
            return kept.value

    def keep(self, key: Hashable, version: Version | None, value: Any, *, size: int) -> None:
        """VALUE was read after VERSION was taken. It must not be changed any more. What callers
        choose is part of KEY as its digest()."""
        if version is None or size > self._capacity // 4:
            return
        size += ENTRY_BYTES
        with self._lock:
            former = self._kept.pop(key, None)
            self._size += size - (former.size if former else 0)
            self._kept[key] = _Kept(version, value, size)
            while self._size > self._capacity:
                _, dropped = self._kept.popitem(last=False)
                self._size -= dropped.size

    def once(
        self, key: Hashable, read: Callable[[], Value], *, size: Callable[[Value], int]
    ) -> Value:
        """What READ gives, or gave when everything was as it is now. It must not be changed."""
        version = self.version()
        found: Value | None = self.get(key, version)
        if found is None:
            found = read()
            self.keep(key, version, found, size=size(found))
        return found
