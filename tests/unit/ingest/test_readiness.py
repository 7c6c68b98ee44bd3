"""Health follows the truth."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from stepline_ingest.persistence import Persistence, Unstored
from stepline_ingest.readiness import Readiness
from stepline_ingest.store.errors import StoreError
from tests.support.writers import FAST

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(readiness: Readiness, service: str = "") -> Any:
    reply = await readiness.servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
    return reply.status


async def becomes(readiness: Readiness, wanted: Any, service: str = "") -> None:
    async def poll() -> None:
        while await status(readiness, service) != wanted:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), 60)


async def test_the_life_of_a_service() -> None:
    """Scenario: it starts, serves, its store fails and recovers, it stops. Guarantee: the answer
    and its reason follow; only what writes is out of service while the store fails."""
    readiness = Readiness()
    await readiness.start()
    try:
        assert await status(readiness) == NOT_SERVING
        assert readiness.reason() == "the service is starting"

        trouble: list[str] = []
        await readiness.serving(lambda: trouble[0] if trouble else None)
        assert await status(readiness) == SERVING
        assert readiness.reason() is None

        trouble.append("no space left on the disk")
        assert "no space left" in str(readiness.reason())
        await becomes(readiness, NOT_SERVING)
        assert await status(readiness, "stepline.v1.Ingest") == NOT_SERVING
        assert await status(readiness, "stepline.v1.Query") == SERVING

        trouble.clear()
        await becomes(readiness, SERVING)

        await readiness.draining()
        assert await status(readiness) == NOT_SERVING
        assert await status(readiness, "stepline.v1.Query") == NOT_SERVING
        assert readiness.reason() == "the service is stopping"
    finally:
        await readiness.stop()


async def test_a_store_that_refuses_is_trouble_until_it_takes_something() -> None:
    """A full disk refuses every INSERT at once and leaves no outcome open."""
    calls = [StoreError("no space left", code=243), StoreError("no space left", code=243), None]

    def call() -> None:
        if calls and (error := calls.pop(0)) is not None:
            raise error

    limits = replace(FAST, store_patience=0)
    persistence = Persistence(ThreadPoolExecutor(1), limits)
    assert persistence.trouble is None
    with pytest.raises(Unstored):
        await persistence.until_known(call)
    assert persistence.trouble == "no space left"
    with pytest.raises(Unstored):
        await persistence.until_known(call)
    await persistence.until_known(call)
    assert persistence.trouble is None
