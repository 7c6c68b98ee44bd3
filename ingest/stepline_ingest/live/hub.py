"""All watched charts, and who tells them what happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Context

import grpc

from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import Refusal

from .request import WatchedQuery
from .topic import Topic

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the runs themselves, which are in memory."""


class Hub:
    """Lives on the event loop."""

    def __init__(
        self,
        topic: Callable[[WatchedQuery], Topic],
        *,
        foreign: Callable[[list[str]], Awaitable[Mapping[str, object]]] | None = None,
        poll: float = 2.0,
    ) -> None:
        """FOREIGN, where others write to the store too, gives for each of some runs something that
        changes with its points; it is asked every POLL seconds."""
        self._make = topic
        self._foreign = foreign
        self._poll = poll
        self.topics: dict[WatchedQuery, Topic] = {}
        self._by_run: dict[str, set[Topic]] = {}
        self._marks: Mapping[str, object] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._tick(), name="watched runs")]
        if self._foreign is not None:
            self._tasks.append(asyncio.create_task(self._look(), name="foreign points"))

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for topic in list(self.topics.values()):
            self._drop(topic)

    # --- for watchers ---

    def join(self, query: WatchedQuery, wake: asyncio.Event, interval: float) -> Topic:
        """The topic of QUERY, which sets WAKE from now on. `leave` ends that."""
        topic = self.topics.get(query)
        if topic is None or topic.error is not None:
            # Not on behalf of who asked first: others may watch it later.
            topic = Context().run(self._make, query)
            self.topics[query] = topic
            for run_id in query.chart.run_ids:
                self._by_run.setdefault(run_id, set()).add(topic)
        topic.join(wake, interval)
        return topic

    def leave(self, topic: Topic, wake: asyncio.Event, interval: float) -> None:
        topic.leave(wake, interval)
        if not topic.watched:
            self._drop(topic)

    # --- what happens ---

    def stored(self, run_ids: Iterable[str]) -> None:
        """Points of these runs were committed."""
        for run_id in run_ids:
            for topic in self._by_run.get(run_id, ()):
                topic.stored((run_id,))

    def deleted(self, run_id: str) -> None:
        gone = ServiceError(
            grpc.StatusCode.NOT_FOUND,
            f"run {run_id} was deleted: there is nothing left to watch",
            refusal=Refusal.DELETED,
        )
        for topic in list(self._by_run.get(run_id, ())):
            topic.fail(gone)

    # --- inside ---

    def _drop(self, topic: Topic) -> None:
        topic.close()
        if self.topics.get(topic.query) is topic:
            del self.topics[topic.query]
        for run_id in topic.query.chart.run_ids:
            topics = self._by_run.get(run_id)
            if topics is not None:
                topics.discard(topic)
                if not topics:
                    del self._by_run[run_id]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for topic in list(self.topics.values()):
                topic.tick()

    async def _look(self) -> None:
        """Runs of which somebody else stored points."""
        assert self._foreign is not None
        while True:
            await asyncio.sleep(self._poll)
            if not self._by_run:
                self._marks = {}
                continue
            try:
                marks = await self._foreign(list(self._by_run))
            except ServiceError as error:
                log.warning("cannot look for points of other services: %s", error)
                continue
            known = self._marks
            self._marks = marks
            self.stored(run_id for run_id, mark in marks.items() if known.get(run_id) != mark)
