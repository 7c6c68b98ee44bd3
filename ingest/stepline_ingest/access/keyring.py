"""The keys as this process knows them.

Invariants
- A known key is judged by a copy of the table that is at most `max_age` seconds old, plus the time
  of one query. So a key that was revoked anywhere stops working within seconds.
- The store is asked at most once every `min_age` seconds, however many unknown keys arrive.
- When the store does not answer, the copy serves for `patience` seconds more; then nobody gets in.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Protocol

from stepline_ingest.access.key import Key, digest
from stepline_ingest.errors import later
from stepline_ingest.fair_threads import start_shared
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)


class KeySource(Protocol):
    """What a ring reads; KeyTables has it."""

    def load(self) -> list[Key]: ...


class KeyRing:
    """A copy of the table of keys. Lives on the event loop."""

    def __init__(
        self,
        tables: KeySource,
        executor: Executor,
        *,
        max_age: float,
        min_age: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables = tables
        self._executor = executor
        self._max_age = max_age
        self._min_age = min_age
        self._patience = patience
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changes = 0

    async def find(self, secret: str) -> Key | None:
        """The key with this text, revoked or expired as it may be. Raises ServiceError when the
        keys cannot be known."""
        wanted = digest(secret)
        await self._refresh(self._max_age)
        found = self._lookup(wanted)
        if found is None:
            # It may have been made a moment ago.
            await self._refresh(self._min_age)
            found = self._lookup(wanted)
        return found

    async def current(self, key: Key) -> Key | None:
        """KEY as the table has it now."""
        await self._refresh(self._max_age)
        return self._keys.get(key.digest)

    async def any(self) -> bool:
        """Whether any key was ever made. Revoking the last one does not open the service again."""
        await self._refresh(self._max_age)
        return bool(self._keys)

    def forget(self) -> None:
        """The table was changed here: what comes next reads it anew."""
        self._changes += 1
        self._tried_at = self._reading = None

    def _lookup(self, wanted: str) -> Key | None:
        found = self._keys.get(wanted)
        # The dictionary compares digests of what the caller sent, which tells a caller nothing
        # that helps to find a key; the comparison that decides takes the same time for all.
        return found if found is not None and hmac.compare_digest(found.digest, wanted) else None

    async def _refresh(self, max_age: float) -> None:
        """Reads the table when the copy is older than MAX_AGE seconds; callers share one query."""
        if not self._is_older(self._tried_at, max_age):
            self._check_age()
            return
        if self._reading is None or self._reading.done():
            self._reading = start_shared(self._read())
        # A caller that goes away must not end the query of the others.
        await asyncio.shield(self._reading)
        self._check_age()

    async def _read(self) -> None:
        begun, changes = self._clock(), self._changes
        keys: list[Key] | None = None
        try:
            loop = asyncio.get_running_loop()
            keys = await loop.run_in_executor(self._executor, self._tables.load)
        except StoreError as error:
            log.warning("the keys cannot be read: %s", error)
        except Exception:
            # A failure like those of the store: known keys go on for a while.
            log.exception("the keys cannot be read")
        if changes != self._changes:
            return  # what was read may be older than the change
        self._tried_at = begun
        self._reading = None
        if keys is not None:
            self._keys = {key.digest: key for key in keys}
            self._read_at = begun

    def _check_age(self) -> None:
        if self._is_older(self._read_at, self._max_age + self._patience):
            raise later("the store fails, so keys cannot be checked; try again later")

    def _is_older(self, when: float | None, age: float) -> bool:
        return when is None or self._clock() - when > age
