"""Whether the service accepts work, and why not: one answer for gRPC's health service, /readyz and
the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum

from grpc_health.v1 import health, health_pb2

log = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between two looks."""
SERVICES = ("", "stepline.v1.Ingest", "stepline.v1.Runs", "stepline.v1.Query")
"""What a client of the health service may ask for; "" is the whole."""
_WRITING = frozenset({"", "stepline.v1.Ingest"})


class Phase(Enum):
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Readiness:
    """Follows the phase of the process and the trouble of its store. Lives on the event loop."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        self._phase = Phase.STARTING
        self._trouble: Callable[[], str | None] = lambda: None
        self._told: dict[str, bool] = {}
        self._task: asyncio.Task[None] | None = None
        self.beat = time.monotonic()
        """When the event loop last turned; the watchdog looks at it."""
        self.lag = 0.0
        """Seconds by which that was late."""

    @property
    def phase(self) -> Phase:
        return self._phase

    def reason(self) -> str | None:
        """Why nothing new is accepted; None when it is."""
        if self._phase is Phase.STARTING:
            return "the service is starting"
        if self._phase is Phase.DRAINING:
            return "the service is stopping"
        trouble = self._trouble()
        return f"the store fails: {trouble}" if trouble is not None else None

    async def start(self) -> None:
        """Says NOT_SERVING until `serving`, and keeps time."""
        await self._tell()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="readiness")

    async def serving(self, trouble: Callable[[], str | None]) -> None:
        """The service accepts work while TROUBLE() is None. Reading goes on when it is not."""
        self._trouble = trouble
        self._phase = Phase.SERVING
        await self._tell()

    async def draining(self) -> None:
        """Nothing new is accepted from now on."""
        self._phase = Phase.DRAINING
        await self._tell()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            self.lag = max(0.0, now - self.beat - TICK)
            self.beat = now
            await self._tell()

    async def _tell(self) -> None:
        reason = self.reason()
        for service in SERVICES:
            # Queries work while the store takes no rows, so only what writes is out of service.
            able = reason is None or (self._phase is Phase.SERVING and service not in _WRITING)
            if self._told.get(service) is not able:
                self._told[service] = able
                await self.servicer.set(
                    service,
                    health_pb2.HealthCheckResponse.SERVING
                    if able
                    else health_pb2.HealthCheckResponse.NOT_SERVING,
                )
                if not service:
                    log.log(
                        logging.INFO if able or self._phase is not Phase.SERVING else logging.ERROR,
                        "work is accepted" if able else "no work is accepted: %s",
                        *(() if able else (reason,)),
                        extra={"event": "ready" if able else "not_ready", "reason": reason or ""},
                    )
