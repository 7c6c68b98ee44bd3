"""The metric names of a run: which are stored already, and how many there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from weakref import WeakValueDictionary

from stepline_ingest.errors import ServiceError, later
from stepline_ingest.metrics import Refusal


class RunNames:
    """The names of one run. Shared by all streams of the run, gone when the last of them is."""

    __slots__ = ("__weakref__", "_admitted", "_limit", "_stored", "run")

    def __init__(self, run: int, stored: Iterable[int], limit: int) -> None:
        self.run = run
        self._stored = set(stored)
        self._admitted = set(self._stored)
        self._limit = limit

    def admit(self, names: Iterable[tuple[int, str]]) -> bool:
        """Counts NAMES in; False, and nothing counted, when the run would have too many."""
        fresh = {metric for metric, _ in names if metric not in self._admitted}
        if len(self._admitted) + len(fresh) > self._limit:
            return False
        self._admitted |= fresh
        return True

    def missing(self, names: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """Those of NAMES that are not in the store."""
        return [(metric, name) for metric, name in names if metric not in self._stored]

    def confirm(self, metrics: Iterable[int]) -> None:
        """METRICS are in the store now."""
        self._stored.update(metrics)


def names_are_lost() -> ServiceError:
    """Ends a stream: later batches use names that were only in a batch that is not stored."""
    return later(
        "a batch was rejected with the names in it; open a new stream and go on",
        after=0,
        refusal=Refusal.INVALID,
    )


class NamesRegistry:
    """The names of the runs that have a stream."""

    def __init__(self, load: Callable[[int], Awaitable[Iterable[int]]], *, limit: int) -> None:
        self._load = load
        self._limit = limit
        self._runs: WeakValueDictionary[int, RunNames] = WeakValueDictionary()
        self._loading = asyncio.Lock()

    async def open(self, run: int) -> RunNames:
        """The names of RUN; the first stream reads them from the store."""
        names = self._runs.get(run)
        if names is None:
            async with self._loading:
                names = self._runs.get(run)
                if names is None:
                    names = RunNames(run, await self._load(run), self._limit)
                    self._runs[run] = names
        return names
