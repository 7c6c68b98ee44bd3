"""One watched chart: read again when something was stored for its runs, and by whom it is watched.

However many watch it, it is read once; however fast its runs log, it is read a few times a second,
and never more than a third of the time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from stepline_ingest.catalogue.fields import RESERVED
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import query_pb2, runs_pb2
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.errors import StoreError

from .picture import Picture, Room
from .request import WatchedQuery

log = logging.getLogger(__name__)

REST, LEAST_REST, LONG = 4, 2, 0.5
"""A read is followed by a pause of REST times what it took; where that is LONG (in seconds), of no
less than LEAST_REST times, so that a busy machine does not make all wait who watch."""
RETRY = 2.0
"""Seconds until a chart is read again that could not be read."""

Lines = Sequence[query_pb2.ChartLine]


class Topic:
    """Lives on the event loop, as long as anybody watches it."""

    def __init__(
        self,
        query: WatchedQuery,
        *,
        read: Callable[[WatchedQuery, Sequence[RunRecord]], Awaitable[Lines]],
        find: Callable[[str], Awaitable[RunRecord]],
        message: Callable[[RunRecord], runs_pb2.Run],
        room: Room,
    ) -> None:
        """READ gives the lines of some runs of the chart; FIND gives a run, or NOT_FOUND."""
        self.query = query
        self.picture = Picture(room)
        self.error: ServiceError | None = None
        """Why it is over."""
        self._read = read
        self._find = find
        self._message = message
        self._stamps: dict[str, tuple[object, ...]] = {}
        """What was last said of each run was made from this."""
        self._stored: set[str] | None = None
        """Runs for which points were stored since the last read; None for all, also those that
        were never read."""
        self._look_at_runs = False
        self._said: list[object] = []
        """What the runs said of their metrics when they were read."""
        self._wake = asyncio.Event()
        self._wake.set()
        self._waiters: set[asyncio.Event] = set()
        self._intervals: list[float] = []
        """Of its watchers: the seconds between two updates."""
        self._joined = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="watched chart")

    # --- for watchers ---

    def join(self, wake: asyncio.Event, interval: float) -> None:
        """WAKE is set whenever there may be something new."""
        self._waiters.add(wake)
        self._intervals.append(interval)
        self._joined.set()

    def leave(self, wake: asyncio.Event, interval: float) -> None:
        self._waiters.discard(wake)
        self._intervals.remove(interval)

    @property
    def watched(self) -> bool:
        return bool(self._waiters)

    # --- what happens ---

    def stored(self, run_ids: Iterable[str]) -> None:
        """Points of these runs of the chart were stored."""
        if self._stored is not None:
            self._stored.update(run_ids)
        self._wake.set()

    def tick(self) -> None:
        """Looks whether a run has changed in itself: its state, its summary."""
        self._look_at_runs = True
        self._wake.set()

    def fail(self, error: ServiceError) -> None:
        """Ends it with ERROR, for all who watch."""
        self.error = self.error or error
        self._tell()
        self._task.cancel()

    def close(self) -> None:
        """Nobody watches it any more."""
        self._task.cancel()
        self.picture.close()

    # --- reading ---

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            began = time.monotonic()
            try:
                if await self._refresh():
                    self._tell()
            except ServiceError as error:
                if not error.is_retryable:
                    self.error = error
                    self._tell()
                    return
                self._again(error)
            except StoreError as error:
                self._again(error)
            except Exception as error:
                log.exception("a watched chart cannot be read")
                self._again(error)
            await self._rest(began, time.monotonic())

    async def _rest(self, began: float, ended: float) -> None:
        """The pause between two reads. Who joins may want it shorter."""
        while True:
            took = ended - began
            rest = min(REST * took, max(LEAST_REST * took, LONG))
            pause = max(min(self._intervals, default=0.0), took + rest)
            self._joined.clear()
            try:
                left = began + pause - time.monotonic()
                await asyncio.wait_for(self._joined.wait(), max(left, 0))
            except asyncio.TimeoutError:
                return

    async def _refresh(self) -> bool:
        """Reads what may have changed. False when nothing did."""
        stored, self._stored = self._stored, set()
        try:
            records = [await self._find(run_id) for run_id in self.query.chart.run_ids]
            # What define_metric() says may come after the points. Mostly it is the same object.
            said = [run.config.get(RESERVED) for run in records]
            stale = stored is None or bool(stored) or said != self._said
            lines = await self._read(self.query, records) if stale else ()
            self._said = said
        except BaseException:
            self._stored = None if stored is None else stored | (self._stored or set())
            raise
        return self.picture.take(lines, self._changed_runs(records), lambda _: stale)

    def _changed_runs(self, records: Iterable[RunRecord]) -> list[runs_pb2.Run]:
        """Messages only of runs that may have changed: a summary can be large."""
        changed = []
        for run in records:
            newest = run.newest
            stamp = (run.version, run.updated_ms, run.outcome, newest.number, newest.world_size)
            if self._stamps.get(run.run_id) != stamp:
                self._stamps[run.run_id] = stamp
                message = self._message(run)
                message.ClearField("config_json")
                changed.append(message)
        return changed

    def _again(self, error: Exception) -> None:
        log.warning("a watched chart could not be read, and is read again soon: %s", error)
        asyncio.get_running_loop().call_later(RETRY, self._wake.set)

    def _tell(self) -> None:
        for wake in self._waiters:
            wake.set()
