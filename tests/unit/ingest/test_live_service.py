"""Promise: who watches hears of everything that is stored, each thing once, and nothing is done for
charts of which nothing was stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest

from stepline._core import siphash64
from stepline_ingest.access.key import Key, Scope
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import live_pb2 as pb
from stepline_ingest.gen.stepline.v1 import live_pb2_grpc, query_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.live import Hub, LiveService, reading_for, service, topic
from stepline_ingest.live.picture import Room
from stepline_ingest.live.source import ChartSource
from stepline_ingest.live.topic import Topic
from stepline_ingest.run_record import Attempt, RunRecord
from stepline_ingest.runs import to_message
from stepline_ingest.store.contract import StoreError

LIMITS = Limits(max_watchers=3)


class World:
    """Runs, and how many points each has of `loss`: step i has the value i."""

    def __init__(self) -> None:
        self.runs: dict[str, RunRecord] = {}
        self.points: dict[str, int] = {}
        self.reads = 0
        self.failures: list[Exception] = []
        self.hub = Hub(self._topic)
        self.live = LiveService(self.hub, LIMITS, check=self.find)
        self.stub: Any = None

    def begin(self, run_id: str, points: int = 0) -> None:
        attempt = Attempt(number=1, launch_id="l", world_size=1, created_ms=0)
        texts = dict.fromkeys(("project", "name", "group", "job_type", "notes"), "")
        self.runs[run_id] = RunRecord(
            run_id=run_id,
            config={"secret": 1},
            summary={},
            tags=[],
            created_ms=0,
            updated_ms=0,
            attempts=[attempt],
            descent=Descent.of_attempts(siphash64(run_id), [1]),
            **texts,
        )
        self.points[run_id] = points

    def store(self, run_id: str, points: int) -> None:
        self.points[run_id] += points
        self.hub.stored({run_id})

    async def find(self, run_id: str) -> RunRecord:
        if run_id not in self.runs:
            raise ServiceError(grpc.StatusCode.NOT_FOUND, f"run {run_id} is not known here")
        return self.runs[run_id]

    async def read(self, query: Any, runs: Any) -> list[query_pb2.ChartLine]:
        self.reads += 1
        if self.failures:
            raise self.failures.pop()
        found = []
        for run in runs:
            rows = self.points[run.run_id]
            x = np.arange(rows, dtype="<i8").tobytes()
            found.append(
                query_pb2.ChartLine(
                    run_id=run.run_id, metric="loss", bucket_width=1, rows=rows, x=x, mean=x
                )
            )
        return found

    def _topic(self, query: Any) -> Topic:
        room = Room(10_000, 10_000)
        return Topic(query, read=self.read, find=self.find, message=to_message, room=room)

    def watch(self, run_id: str, interval_ms: int = 50) -> Any:
        return self.stub.Watch(request(run_id, interval_ms))


def request(run_id: str, interval_ms: int = 50) -> pb.WatchRequest:
    chart = query_pb2.ChartRequest(run_ids=[run_id], metrics=["loss"])
    return pb.WatchRequest(charts=[pb.WatchedChart(chart=chart)], interval_ms=interval_ms)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    server = grpc.aio.server()
    live_pb2_grpc.add_LiveServicer_to_server(world.live, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    world.hub.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        world.stub = live_pb2_grpc.LiveStub(channel)
        yield world
    world.hub.close()
    await server.stop(0)


async def some(call: Any) -> pb.WatchUpdate:
    return await asyncio.wait_for(call.read(), 30)


async def rows_until(call: Any, last: int) -> list[int]:
    """The steps of the buckets that come, up to LAST."""
    steps: list[int] = []
    while not steps or steps[-1] != last:
        for line in (await some(call)).lines:
            steps += np.frombuffer(line.line.x, "<i8").tolist()
    return steps


async def end_of(call: Any) -> tuple[grpc.StatusCode, str]:
    try:
        while True:
            await some(call)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""


async def until(condition: Any) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 30)


async def test_the_whole_chart_comes_first_and_then_what_is_new(world: World) -> None:
    world.begin("r", 3)
    call = world.watch("r")
    first = await some(call)
    assert (first.reset, first.more) == (True, False)
    (line,) = first.lines
    assert (line.whole, line.chart, line.line.rows) == (True, 0, 3)
    (run,) = first.runs
    assert (run.run_id, run.state, run.config_json) == ("r", "running", "")
    world.store("r", 2)
    then = await some(call)
    assert (then.reset, len(then.runs)) == (False, 0)
    assert (then.lines[0].whole, then.lines[0].line.rows) == (False, 2)


async def test_everything_is_told_once_however_fast_it_is_stored(world: World) -> None:
    world.begin("r", 1)
    call = world.watch("r")
    assert await rows_until(call, 0) == [0]
    for _ in range(500):
        world.store("r", 1)
        if world.points["r"] % 100 == 0:
            await asyncio.sleep(0.02)
    assert await rows_until(call, 500) == list(range(1, 501))
    assert world.reads < 50


async def test_a_chart_is_read_again_when_its_metrics_are_defined_otherwise(world: World) -> None:
    class Large(dict[str, object]):
        def __repr__(self) -> str:
            raise AssertionError("what a config says may be large")

    world.begin("r", 1)
    said = Large(metrics={"loss": {"unit": "nats"}})
    world.runs["r"] = replace(world.runs["r"], config={"_stepline": said})
    call = world.watch("r")
    await some(call)
    for updated_ms, config, reads in (
        (5, {"_stepline": said, "lr": 1}, 1),
        (6, {"_stepline": Large(said), "lr": 1}, 1),
        (7, {"_stepline": Large(metrics={"loss": {"x": "epoch"}})}, 2),
    ):
        world.runs["r"] = replace(world.runs["r"], config=config, updated_ms=updated_ms)
        while not (runs := (await some(call)).runs) or runs[0].updated_ms != updated_ms:
            pass
        assert world.reads == reads


async def test_nothing_is_read_while_nothing_is_stored(world: World) -> None:
    world.begin("r", 1)
    world.begin("other", 1)
    call = world.watch("r")
    await some(call)
    world.store("other", 1)
    world.runs["r"] = replace(world.runs["r"], updated_ms=5)  # a look at the runs goes by
    assert (await some(call)).runs[0].updated_ms == 5
    assert world.reads == 1


async def test_equal_charts_are_read_once_and_no_longer_than_they_are_watched(world: World) -> None:
    world.begin("r", 1)
    calls = [world.watch("r") for _ in range(3)]
    for call in calls:
        assert await rows_until(call, 0) == [0]
    assert world.reads == 1
    for call in calls:
        call.cancel()
    await until(lambda: world.live.watchers == 0)
    assert not world.hub.topics
    world.store("r", 1)
    call = world.watch("r")
    assert await rows_until(call, 1) == [0, 1]


async def test_one_stream_carries_many_charts(world: World) -> None:
    for name in ("a", "b"):
        world.begin(name, 1)
    charts = [
        pb.WatchedChart(chart=query_pb2.ChartRequest(run_ids=[name], metrics=["loss"]))
        for name in ("a", "b")
    ]
    call = world.stub.Watch(pb.WatchRequest(charts=charts, interval_ms=50))
    first = await some(call)
    assert [(line.chart, line.line.run_id) for line in first.lines] == [(0, "a"), (1, "b")]
    assert [run.run_id for run in first.runs] == ["a", "b"]
    world.store("b", 1)
    assert [(line.chart, line.line.rows) for line in (await some(call)).lines] == [(1, 1)]


async def test_a_run_without_points_is_waited_for(world: World) -> None:
    world.begin("r")
    call = world.watch("r")
    first = await some(call)
    assert (first.reset, len(first.lines)) == (True, 0)
    world.store("r", 1)
    assert await rows_until(call, 0) == [0]


async def test_a_slow_reader_gets_everything_in_one_update(world: World) -> None:
    world.begin("r", 1)
    updates = world.live._updates(request("r"))
    await anext(updates)
    (picture,) = [topic.picture for topic in world.hub.topics.values()]
    for _ in range(5):
        change = picture.change
        world.store("r", 1)
        await until(lambda change=change: picture.change > change)
    update = await anext(updates)
    assert np.frombuffer(update.lines[0].line.x, "<i8").tolist() == [1, 2, 3, 4, 5]
    await updates.aclose()


async def test_who_joins_with_a_shorter_interval_need_not_wait(world: World) -> None:
    world.begin("r", 1)
    slow = world.watch("r", interval_ms=60_000)
    assert await rows_until(slow, 0) == [0]
    world.store("r", 1)
    assert await rows_until(world.watch("r"), 1) == [0, 1]


async def test_ends_are_clear(world: World) -> None:
    world.begin("r", 1)
    assert (await end_of(world.watch("gone")))[0] is grpc.StatusCode.NOT_FOUND
    call = world.watch("r")
    await some(call)
    del world.runs["r"]
    world.hub.deleted("r")
    code, text = await end_of(call)
    assert (code, "deleted" in text) == (grpc.StatusCode.NOT_FOUND, True), text
    world.begin("s", 1)
    call = world.watch("s")
    await some(call)
    world.live.drain()
    assert (await end_of(call))[0] is grpc.StatusCode.UNAVAILABLE
    assert (await end_of(world.watch("s")))[0] is grpc.StatusCode.UNAVAILABLE


async def test_bad_requests_are_told_what_to_change(world: World) -> None:
    world.begin("r", 1)
    chart = query_pb2.ChartRequest(run_ids=["r"], metrics=["loss"])
    for charts, says in [
        ([], "1 to 64"),
        ([pb.WatchedChart(chart=chart)] * 65, "1 to 64"),
        ([pb.WatchedChart(chart=query_pb2.ChartRequest(run_ids=["r"]))], "at least one"),
        ([pb.WatchedChart(chart=chart, patterns=[""])], "patterns"),
    ]:
        code, text = await end_of(world.stub.Watch(pb.WatchRequest(charts=charts)))
        assert (code, says in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    held = [world.watch("r") for _ in range(LIMITS.max_watchers)]
    for call in held:
        await some(call)
    code, text = await end_of(world.watch("r"))
    assert (code, "one stream" in text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True), text


async def test_a_failing_store_is_asked_again(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(topic, "RETRY", 0.01)
    world.begin("r", 2)
    world.failures = [StoreError("no"), ValueError("a bug")]
    call = world.watch("r")
    assert await rows_until(call, 1) == [0, 1]
    world.failures = [ServiceError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")]
    world.store("r", 1)
    assert (await end_of(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_stream_ends_with_its_key(world: World, monkeypatch: Any) -> None:
    key = Key(digest="k", scope=Scope.READ, project="", name="", created_ms=0)
    monkeypatch.setattr(service.access, "caller", lambda: key)
    world.begin("r", 1)
    call = world.watch("r")
    await some(call)

    async def revoked(found: Key) -> None:
        assert found is key
        raise ServiceError(grpc.StatusCode.UNAUTHENTICATED, "revoked")

    await world.live.recheck(revoked)
    assert (await end_of(call))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_silence_is_broken_by_signs_of_life(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(service, "SIGN_OF_LIFE", 0.05)
    world.begin("r", 1)
    call = world.watch("r")
    await some(call)
    for _ in range(2):
        assert await some(call) == pb.WatchUpdate()


async def test_points_of_other_services_are_found(world: World) -> None:
    marks = {"r": 1}

    async def foreign(run_ids: list[str]) -> dict[str, int]:
        assert run_ids == ["r"]
        return dict(marks)

    world.hub.close()
    world.hub = Hub(world._topic, foreign=foreign, poll=0.02)
    world.live._hub = world.hub
    world.hub.start()
    world.begin("r", 1)
    call = world.watch("r")
    assert await rows_until(call, 0) == [0]
    world.points["r"] = 2
    marks["r"] = 2
    assert await rows_until(call, 1) == [1]


async def test_a_chart_is_read_in_the_line_of_its_project() -> None:
    """Not in one line of all charts, nor in that of who watched it first."""
    lines: list[str | None] = []

    class Threads(Executor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            lines.append(reading_for())
            read: Future[Any] = Future()
            read.set_result([])
            return read

    world = World()
    world.begin("r")
    source = ChartSource(None, LIMITS, Threads())  # type: ignore[arg-type]
    for project in ("a", "b"):
        await source.read(None, [replace(world.runs["r"], project=project)])  # type: ignore[arg-type]
    assert lines == ["a", "b"]
