"""Promise: a project that asks for more than its share keeps no other project waiting."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import stepline
from stepline_ingest.gen.stepline.v1 import query_pb2, query_pb2_grpc, runs_pb2, runs_pb2_grpc
from stepline_ingest.limits import Limits
from tests.security.conftest import Guarded

ENDLESS = "SELECT sleepEachRow(3) FROM numbers(1000)"
"""Stands in the engine until its time is up, and takes nobody's processor meanwhile."""


@contextlib.contextmanager
def endless_queries(service: Guarded, project: str, count: int) -> Iterator[list[grpc.Future]]:
    """COUNT of them with a key of PROJECT, each on a stream of its own."""
    metadata = [("authorization", f"Bearer {service.key('read', project)}")]
    with grpc.insecure_channel(service.grpc) as channel:
        stub = query_pb2_grpc.QueryStub(channel)
        request = query_pb2.SqlRequest(query=ENDLESS)
        calls = [stub.Sql(request, metadata=metadata, timeout=600) for _ in range(count)]
        try:
            yield calls
        finally:
            for call in calls:
                call.cancel()


def test_endless_queries_of_one_project_hold_up_nobody_else(guarded: Guarded, spools: Path) -> None:
    """
    Scenario: a project asks more endless queries than the service has threads.
    Guarantees: another one's points are acknowledged and its charts, histories, lists and queries
    answered while all of those still run; when they are cancelled their threads are free again.
    """
    greedy, honest = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("greedy", "honest"))
    with endless_queries(guarded, greedy, 4 * Limits().query_threads) as calls:
        run = stepline.init(
            project=honest,
            server=guarded.grpc,
            api_key=guarded.key("ingest", honest),
            dir=spools,
            uploader="thread",
        )
        for step in range(1_000):
            run.log({"loss": float(step)}, step=step)
        assert run.finish(timeout=120).complete
        with stepline.connect(guarded.grpc, api_key=guarded.key("read", honest)) as reader:
            view = reader.run(run.id)
            assert len(view.chart("loss").last) > 0
            assert len(view.history("loss")) == 1_000
            assert [metric.name for metric in view.metrics()] == ["loss"]
            assert [info.id for info in reader.runs(honest)] == [run.id]
            assert reader.sql("SELECT count() FROM points").rows == [(1_000,)]
        assert not any(call.done() for call in calls)
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", greedy)) as reader:
        assert reader.sql("SELECT 1").rows == [(1,)]


def test_a_project_that_is_refused_without_end_waits_alone(guarded: Guarded) -> None:
    """
    Scenario: a project sends more requests that are wrong than are told at once.
    Guarantees: each is told the reason, the last ones late; another project is told its own while
    they wait.
    """
    wrong = runs_pb2.CreateRunRequest(run_id="no writer")
    greedy, honest = (
        [("authorization", f"Bearer {guarded.key('ingest', uuid.uuid4().hex)}")] for _ in range(2)
    )
    with grpc.insecure_channel(guarded.grpc) as channel:
        stub = runs_pb2_grpc.RunsStub(channel)
        calls = [
            stub.CreateRun.future(wrong, metadata=greedy, timeout=60)
            for _ in range(2 * Limits().refusal_burst)
        ]
        with pytest.raises(grpc.RpcError) as caught:
            stub.CreateRun(wrong, metadata=honest, timeout=60)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert not all(call.done() for call in calls)
        told = {(call.code(), call.details()) for call in calls}
        assert told == {(caught.value.code(), caught.value.details())}


def test_queries_of_people_come_behind_inserts_and_charts(guarded: Guarded) -> None:
    """Guarantee: whatever they ask for, the engine makes them wait while an insert of points or a
    chart runs, which have priority 1."""
    key = guarded.key("read", f"people-{uuid.uuid4().hex[:8]}")
    with stepline.connect(guarded.grpc, api_key=key) as reader:
        asked = "SELECT value FROM system.settings WHERE name = 'priority'"
        assert reader.sql(asked).rows == [("2",)]
        with pytest.raises(stepline.errors.SteplineError):
            reader.sql(f"{asked} SETTINGS priority = 1")
