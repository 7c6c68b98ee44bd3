"""Promise: what define_metric() said holds for charts and lists of metrics."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepline_ingest.catalogue.definitions import Definitions
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from tests.support.query_service import Harness, serving


@pytest.fixture
async def service(embedded) -> AsyncIterator[Harness]:
    async with serving(embedded) as harness:
        yield harness


def said(**metrics: dict[str, Any]) -> dict[str, Any]:
    return {"_stepline": {"metrics": metrics}}


async def axes(service: Harness, *runs: str, metrics: list[str], x: str = "") -> set[str]:
    request = pb.ChartRequest(run_ids=runs, metrics=metrics, x=x)
    found = [line async for line in service.stub.Chart(request)]
    assert found
    return {line.defined_x for line in found}


async def test_a_chart_without_an_axis_has_that_of_its_metrics(service):
    for run in ("a", "b"):
        for metric in ("loss", "acc", "other", "epoch"):
            service.put(run, metric, {step: float(step) for step in range(5)})
    service.runs.configs["a"] = {
        "_stepline": {"metrics": {"[!": 3, "*": {"x": "epoch"}, "other": {"x": "nowhere"}}}
    }
    service.runs.configs["b"] = said(loss={"x": "epoch"}, acc={"x": "relative"})
    assert await axes(service, "a", metrics=["loss", "acc"]) == {"metric:epoch"}
    assert await axes(service, "a", "b", metrics=["loss"]) == {"metric:epoch"}
    assert await axes(service, "b", metrics=["acc"]) == {"relative"}
    # Not the same for all, or logged by nobody: steps.
    assert await axes(service, "a", "b", metrics=["loss", "acc"]) == {""}
    assert await axes(service, "a", metrics=["other"]) == {""}
    assert await axes(service, "a", metrics=["loss"], x="step") == {""}
    # The same answer from what was kept, whoever asked for it first.
    assert await axes(service, "a", metrics=["loss"], x="metric:epoch") == {""}
    assert await axes(service, "a", metrics=["loss"]) == {"metric:epoch"}


async def test_what_cannot_be_drawn_over_a_metric_is_drawn_over_steps(service):
    for metric in ("loss", "epoch"):
        service.put("a", metric, {step: float(step) for step in range(5)})
    service.runs.configs["a"] = said(loss={"x": "epoch"})
    for fields in ({"group_by": "state"}, {"log_x": True}):
        request = pb.ChartRequest(run_ids=["a"], metrics=["loss"], **fields)
        assert [line.defined_x async for line in service.stub.Chart(request)] == [""]


async def test_definitions_are_made_beside_the_event_loop(service, monkeypatch):
    service.put("a", "loss", {0: 1.0})
    service.runs.configs["a"] = said(loss={"unit": "nats"})
    made = []

    class Watched(Definitions):
        def __init__(self, *args: Any) -> None:
            made.append(threading.current_thread())
            super().__init__(*args)

    monkeypatch.setattr("stepline_ingest.query.service.Definitions", Watched)
    reply = await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="a"))
    assert [metric.definition.unit for metric in reply.metrics] == ["nats"]
    assert len(made) == 1
    assert made[0] is not threading.current_thread()


async def test_lists_leave_hidden_metrics_out(service):
    for metric in ("train/loss", "debug/a", "debug/b", "lr"):
        service.put("a", metric, {0: 1.0, 4: 3.0})
    service.put("b", "debug/c", {0: 1.0})
    service.runs.configs["a"] = {
        "_stepline": {"metrics": {"debug/*": {"hidden": True}, "debug/b": {"hidden": False}}}
    }

    async def listed(**fields: Any) -> pb.ListMetricsReply:
        return await service.stub.ListMetrics(pb.ListMetricsRequest(**fields))

    reply = await listed(run_id="a")
    assert [metric.name for metric in reply.metrics] == ["debug/b", "lr", "train/loss"]
    reply = await listed(run_id="a", hidden=True, names_only=True, grouped=True)
    assert [(group.prefix, group.count) for group in reply.groups] == [
        ("debug/", 2), ("lr", 1), ("train/", 1),
    ]  # fmt: skip
    assert (reply.total, reply.metrics[0].count, reply.metrics[0].definition.hidden) == (4, 0, True)
    reply = await listed(run_ids=["b", "a"], prefix="debug/", grouped=True, limit=1)
    assert (reply.total, [metric.name for metric in reply.metrics]) == (1, ["debug/b"])
    assert [(group.prefix, group.count) for group in reply.groups] == [("debug/b", 1)]
    reply = await listed(run_ids=["b", "a"], hidden=True)
    assert [(m.name, m.runs) for m in reply.metrics if m.name.startswith("debug")] == [
        ("debug/a", 1), ("debug/b", 1), ("debug/c", 1),
    ]  # fmt: skip
    (lr,) = (await listed(run_id="a", prefix="lr")).metrics
    assert (lr.mean, lr.first_value, lr.min_step, lr.max_step) == (2.0, 1.0, 0, 4)
