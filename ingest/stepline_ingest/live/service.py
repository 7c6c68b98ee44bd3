"""stepline.v1.Live: streams of updates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import grpc

from stepline_ingest import access
from stepline_ingest.errors import ServiceError, abort, later
from stepline_ingest.gen.stepline.v1 import live_pb2, live_pb2_grpc, runs_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.searched import check_searched

from .hub import Hub
from .request import watched_queries
from .topic import Topic

SIGN_OF_LIFE = 15.0
"""Seconds of silence after which an empty update says that the service is there."""
_PART_BYTES = 1 << 20
"""Of a message, about."""


class LiveService(live_pb2_grpc.LiveServicer):
    """CHECK raises ServiceError for a run that the caller may not see, or that is not there."""

    def __init__(
        self, hub: Hub, limits: Limits, *, check: Callable[[str], Awaitable[object]]
    ) -> None:
        self._hub = hub
        self._limits = limits
        self._check = check
        self._watchers: set[_Watcher] = set()
        self._stopping = False

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    async def Watch(
        self, request: live_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[live_pb2.WatchUpdate]:
        try:
            async with aclosing(self._updates(request)) as updates:
                async for update in updates:
                    yield update
        except ServiceError as error:
            await abort(context, error)

    async def recheck(self, check: Callable[[access.Key], Awaitable[None]]) -> None:
        """Ends the streams whose key is good no more: CHECK raises ServiceError for it."""
        for watcher in list(self._watchers):
            if watcher.key is not None:
                try:
                    await check(watcher.key)
                except ServiceError as error:
                    watcher.fail(error)

    def drain(self) -> None:
        """Ends all streams; their readers come back to the next service."""
        self._stopping = True
        for watcher in list(self._watchers):
            watcher.fail(_stopping())

    async def _updates(
        self, request: live_pb2.WatchRequest
    ) -> AsyncGenerator[live_pb2.WatchUpdate, None]:
        queries, interval = watched_queries(request)
        for pattern in (pattern for query in queries for pattern in query.patterns):
            check_searched(self._limits, patterns=pattern)
        for run_id in dict.fromkeys(run for query in queries for run in query.chart.run_ids):
            await self._check(run_id)
        if self._stopping:
            raise _stopping()
        if len(self._watchers) >= self._limits.max_watchers:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._limits.max_watchers} streams watch charts already: end some, or watch "
                "several charts by one stream",
                refusal=Refusal.OVERLOADED,
            )
        watcher = _Watcher(interval)
        self._watchers.add(watcher)
        try:
            for query in queries:
                watcher.topics.append(self._hub.join(query, watcher.wake, interval))
            async for update in watcher.updates():
                yield update
        finally:
            self._watchers.discard(watcher)
            for topic in watcher.topics:
                self._hub.leave(topic, watcher.wake, interval)


class _Watcher:
    """One stream. What it was told is one number a chart."""

    def __init__(self, interval: float) -> None:
        self.key = access.caller()
        self.wake = asyncio.Event()
        self.topics: list[Topic] = []
        self._interval = interval
        self._error: ServiceError | None = None

    def fail(self, error: ServiceError) -> None:
        self._error = self._error or error
        self.wake.set()

    async def updates(self) -> AsyncGenerator[live_pb2.WatchUpdate, None]:
        """Ends only by raising ServiceError. While the reader takes an update, nothing is
        queued."""
        seen: list[int] | None = None
        while True:
            if not await self._news(seen):
                yield live_pb2.WatchUpdate()
                continue
            pictures = [topic.picture for topic in self.topics]
            now = [picture.change for picture in pictures]
            if seen is None or any(s < p.forgotten for s, p in zip(seen, pictures, strict=True)):
                parts = self._parts([0] * len(now), reset=True)
            else:
                parts = self._parts(seen, reset=False)
            for part in parts:
                yield part
                self._check()
            seen = now
            await self._rest()

    async def _news(self, seen: list[int] | None) -> bool:
        """Until there is something to say, at first until all charts are known; False when that
        takes long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SIGN_OF_LIFE
        while True:
            self.wake.clear()
            self._check()
            changes = [topic.picture.change for topic in self.topics]
            if all(changes) if seen is None else changes != seen:
                return True
            if not await self._woken(until - loop.time()):
                return False

    async def _rest(self) -> None:
        """The least time between two updates; an end does not wait for it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._interval
        while True:
            self.wake.clear()
            self._check()
            if not await self._woken(until - loop.time()):
                return

    async def _woken(self, within: float) -> bool:
        try:
            await asyncio.wait_for(self.wake.wait(), max(within, 0))
        except asyncio.TimeoutError:
            return False
        return True

    def _check(self) -> None:
        errors = (self._error, *(topic.error for topic in self.topics))
        for error in errors:
            if error is not None:
                raise error

    def _parts(self, seen: Sequence[int], *, reset: bool) -> Iterator[live_pb2.WatchUpdate]:
        """What the charts show after the changes SEEN; at least one message, empty when nothing is
        new."""
        part = live_pb2.WatchUpdate(reset=reset)
        runs: dict[str, runs_pb2.Run] = {}
        for topic, change in zip(self.topics, seen, strict=True):
            runs |= {run.run_id: run for run in topic.picture.runs_after(change)}
        part.runs.extend(runs.values())
        size = part.ByteSize()
        for number, (topic, change) in enumerate(zip(self.topics, seen, strict=True)):
            for line in topic.picture.lines_after(change, number):
                if size > _PART_BYTES:
                    part.more = True
                    yield part
                    part, size = live_pb2.WatchUpdate(), 0
                part.lines.append(line)
                size += line.ByteSize()
        yield part


def _stopping() -> ServiceError:
    return later("the service is stopping; watch again at its successor", refusal=Refusal.STOPPING)
