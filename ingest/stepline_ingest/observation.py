"""What a service that runs is watched by: its gauges, a look at the engine now and then, and the
watchdog."""

from __future__ import annotations

from collections.abc import Callable

from stepline_ingest.budget import Budget
from stepline_ingest.commit import Committer
from stepline_ingest.config import ServeConfig
from stepline_ingest.http import service_version
from stepline_ingest.live import LiveService
from stepline_ingest.metrics import Name, metrics
from stepline_ingest.metrics.sampler import Sampler
from stepline_ingest.push import IngestService
from stepline_ingest.readiness import Readiness
from stepline_ingest.store import Store
from stepline_ingest.watchdog import Watchdog


class Observation:
    """Begins when it is made, and ends with `stop`."""

    def __init__(
        self,
        config: ServeConfig,
        *,
        store: Store,
        committer: Committer,
        budget: Budget,
        ingest: IngestService,
        watching: LiveService,
        readiness: Readiness,
    ) -> None:
        metrics.set(Name.BUILD, 1, service_version(), store.kind)
        metrics.set(Name.INFLIGHT_LIMIT_BYTES, config.limits.max_inflight_bytes)
        gauges: tuple[tuple[Name, Callable[[], float]], ...] = (
            (Name.STREAMS, lambda: ingest.streams),
            (Name.WRITERS, lambda: len(ingest.writers)),
            (Name.WATCHERS, lambda: watching.watchers),
            (Name.INFLIGHT_BYTES, lambda: budget.used),
            (Name.BUDGET_WAITING, lambda: budget.waiting),
            (Name.QUEUE_BATCHES, lambda: committer.queued_batches),
            (Name.QUEUE_POINTS, lambda: committer.queued_points),
            (Name.READY, lambda: readiness.reason() is None),
            (Name.LOOP_LAG_SECONDS, lambda: readiness.lag),
        )
        for name, value in gauges:
            metrics.watch(name, value)
        self._sampler = Sampler(store, config.data, metrics)
        self._watchdog: Watchdog | None = None
        if config.hang_limit:
            self._watchdog = Watchdog(
                limit=config.hang_limit,
                loop_beat=lambda: readiness.beat,
                ping_engine=(lambda: store.query("SELECT 1")) if store.kind == "chdb" else None,
            )

    def stop(self) -> None:
        """The watchdog first: what ends is allowed to take its time."""
        if self._watchdog is not None:
            self._watchdog.stop()
        self._sampler.stop()
