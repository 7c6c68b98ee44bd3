"""Promise: what is searched for has a bounded size, what is kept of it is small, and what can never
be answered is not put off until later."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import grpc
import pytest

from stepline_ingest import errors
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.limits import Limits
from stepline_ingest.query.history import HistoryQuery
from stepline_ingest.query.names import NamesQuery, find_names
from stepline_ingest.store import Store
from tests.support.query_service import Harness, serving

LIMITS = Limits()
LONG = "x" * (LIMITS.max_searched_bytes + 1)


@pytest.fixture
async def service(embedded: Store) -> AsyncIterator[Harness]:
    async with serving(embedded) as harness:
        harness.put("r", "loss", {1: 1.0})
        yield harness


@pytest.mark.parametrize("field", ["prefix", "pattern", "regex"])
async def test_a_long_text_is_refused_by_name(service: Harness, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="r", **{field: LONG}))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith(f"{field} has 16,385 bytes, 16,384 are allowed")
    fits = pb.ListMetricsRequest(run_id="r", **{field: LONG[1:]})
    assert not (await service.stub.ListMetrics(fits)).metrics


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"metrics": [f"a{n}" for n in range(10_001)]}, "10,001 names and patterns"),
        ({"metrics": ["?" * 600_000] * 2}, "have 1,200,000 bytes"),
        ({"ranks": range(1_000_001)}, "1,000,001 ranks"),
    ],
)
async def test_an_export_names_so_much_and_no_more(
    service: Harness, asked: dict[str, object], says: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.export(run_id="r", **asked)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert says in caught.value.details()


async def test_patterns_that_cannot_be_compiled_are_never_right(service: Harness) -> None:
    """They are allowed, and too much for the engine when it makes them one."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.export(run_id="r", metrics=["*?" * 500_000])
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "fewer or shorter" in caught.value.details()


async def test_as_many_ranks_as_are_allowed_are_taken(service: Harness) -> None:
    assert len(await service.export(run_id="r", ranks=range(LIMITS.max_exported_ranks))) == 1


async def test_what_was_refused_is_let_go_without_the_collector(
    service: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes seldom in a service, and a request may have megabytes."""
    monkeypatch.setattr(errors, "_UNTIL_TOLD", 0.0)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError):
                await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="r", prefix=LONG))
            with pytest.raises(grpc.aio.AioRpcError):
                await service.history(run_id="r", metric=LONG)
        kinds = (pb.ListMetricsRequest, pb.HistoryRequest, HistoryQuery)
        patience = 600
        while any(isinstance(one, kinds) for one in gc.get_objects()):
            assert (patience := patience - 1), "they are still there"
            await asyncio.sleep(0.05)
    finally:
        gc.enable()


def test_long_texts_are_no_part_of_what_is_kept(embedded: Store) -> None:
    for number in range(20):
        find_names(embedded, [1], NamesQuery(prefix=f"{number}{LONG}"), {})
    kept = embedded.rows_memo._kept
    assert len(kept) == 20
    assert all(len(repr(key)) < 1_000 for key in kept)
