"""Puts the parts together."""

from __future__ import annotations

from concurrent.futures import Executor

from stepline_ingest.limits import Limits
from stepline_ingest.run_record import RunRecord
from stepline_ingest.runs import to_message
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.store.contract import Store

from .foreign import ForeignPoints
from .hub import Hub
from .picture import Room
from .request import WatchedQuery
from .service import LiveService
from .source import ChartSource
from .topic import Topic


def build(
    store: Store, runs: RunsRepository, limits: Limits, executor: Executor
) -> tuple[Hub, LiveService]:
    """EXECUTOR reads charts. The hub has to be started, and told what happens."""
    source = ChartSource(store, limits, executor)
    room = Room(limits.max_watched_buckets, limits.max_chart_buckets)

    async def find(run_id: str) -> RunRecord:
        async with runs.lock(run_id):
            return await runs.require(run_id)

    def topic(query: WatchedQuery) -> Topic:
        return Topic(query, read=source.read, find=find, message=to_message, room=room)

    # The embedded store has one process; what it stores is heard of at once.
    shared = store.kind != "chdb"
    foreign = ForeignPoints(store, limits, executor).marks if shared else None
    hub = Hub(topic, foreign=foreign)
    return hub, LiveService(hub, limits, check=find)
