"""Promise: an answer that is known is not read again, an answer that would be another one is; and
what nobody waits for any more ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import grpc
import pytest

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.query import service as query_service
from stepline_ingest.query.groups import groups_of
from stepline_ingest.query.packing import packed
from stepline_ingest.query.reader import Reader
from stepline_ingest.query.request import COLUMNS, chart_query
from stepline_ingest.store import StoreError
from stepline_ingest.store.memo import Memo
from tests.support.query_service import Harness, serving

REQUEST = pb.ChartRequest(run_ids=["r"], metrics=["m"], points=10)


@pytest.fixture
async def service(embedded) -> AsyncIterator[Harness]:
    async with serving(embedded) as harness:
        harness.put("r", "m", dict.fromkeys(range(5), 1.0))
        yield harness


async def asked(service: Harness, request=REQUEST, etag: str = "") -> tuple[dict, list]:
    """Initial metadata and lines."""
    metadata = [("if-none-match", etag)] if etag else []
    call = service.stub.Chart(request, metadata=metadata)
    return dict(await call.initial_metadata()), [line async for line in call]


async def test_the_same_answer_has_the_same_etag_and_is_not_sent_again(service):
    first, lines = await asked(service)
    again, same = await asked(service)
    assert lines == same
    assert first["etag"] == again["etag"]
    assert "not-modified" not in again
    for known in (first["etag"], f"W/{first['etag']}", f'"other", {first["etag"]}', "*"):
        metadata, none = await asked(service, etag=known)
        assert (metadata["etag"], metadata["not-modified"], none) == (first["etag"], "1", [])
    metadata, lines = await asked(service, etag='"other"')
    assert lines == same
    assert "not-modified" not in metadata


async def test_an_answer_that_is_known_is_not_read_again(service, monkeypatch):
    _, lines = await asked(service)
    monkeypatch.setattr(query_service, "read_chart", None)
    assert await asked(service) == ((await asked(service))[0], lines)


async def test_points_of_the_run_change_the_etag_and_others_do_not(service):
    first, _ = await asked(service)
    other, _ = await asked(service, pb.ChartRequest(run_ids=["r"], metrics=["m"], points=11))
    assert other["etag"] != first["etag"]
    points = {"runs": [siphash64("other")]}
    service.store.memo.changed(**points)
    assert (await asked(service))[0] == first
    service.put("r", "m", {5: 7.0})
    changed, (line,) = await asked(service, etag=first["etag"])
    assert changed["etag"] != first["etag"]
    assert line.rows == 6


async def test_a_config_is_not_written_to_name_an_answer(service):
    class Large:
        def __repr__(self):
            raise AssertionError("a config may be large")

    first, lines = await asked(service)
    service.runs.configs["r"] = {"_stepline": Large(), "a": Large()}
    assert await asked(service) == (first, lines)


async def test_runs_are_grouped_beside_the_event_loop(service, monkeypatch):
    made = []

    def watched(*arguments):
        made.append(threading.current_thread())
        return groups_of(*arguments)

    monkeypatch.setattr(query_service, "groups_of", watched)
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], group_by="state")
    assert (line.group, list(line.group_run_ids)) == ("running", ["r"])
    with pytest.raises(grpc.aio.AioRpcError, match="has 'nosuch' in its config") as caught:
        await service.chart(run_ids=["r"], metrics=["m"], group_by="nosuch")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(made) == 2
    assert threading.current_thread() not in made


async def test_points_of_the_run_that_a_fork_shows_change_its_etag(service):
    service.runs.known["fork"] = 1
    parent = Descent.of_attempts(siphash64("r"), [1])
    fork = Descent.of_fork(siphash64("fork"), parent.lineage({}), 99)
    service.runs.descents["fork"] = fork.begun(1, 100)
    request = pb.ChartRequest(run_ids=["fork"], metrics=["m"])
    first, _ = await asked(service, request)
    service.store.memo.changed([siphash64("r")])
    assert (await asked(service, request))[0] != first


async def test_a_store_that_others_write_to_has_no_etags(service, monkeypatch):
    monkeypatch.setattr(service.store, "memo", Memo(trusted=False))
    metadata, (line,) = await asked(service, etag="*")
    assert "etag" not in metadata
    assert line.rows == 5


async def test_what_a_client_left_ends_in_the_engine(service):
    running = "SELECT count() FROM system.processes WHERE query LIKE '%cityHash64(number)%numbers%'"
    alone = 1  # the question itself
    query = "SELECT max(cityHash64(number)) FROM numbers(1000000000000)"
    call = service.stub.Sql(pb.SqlRequest(query=query))
    reading = asyncio.ensure_future(call.read())
    await until(lambda: service.store.query(running) == [(alone + 1,)])
    call.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await until(lambda: service.store.query(running) == [(alone,)])


@pytest.fixture
def slow(monkeypatch) -> SimpleNamespace:
    """Charts of the metric "slow" are `begun`, and wait until they may `go`."""
    state = SimpleNamespace(begun=threading.Event(), go=threading.Event(), ended=[])
    lines = Reader.lines

    def waiting(self, panel, *arguments, **options):
        if siphash64("slow") in panel.metrics:
            state.begun.set()
            assert state.go.wait(30)
        found = lines(self, panel, *arguments, **options)
        state.ended.append(panel.metrics)
        return found

    monkeypatch.setattr(Reader, "lines", waiting)
    return state


async def test_a_line_is_sent_before_the_next_one_is_read(service, slow):
    service.put("r", "slow", dict.fromkeys(range(1_000), 1.0))
    call = service.stub.Chart(pb.ChartRequest(run_ids=["r"], metrics=["m", "slow"], points=10))
    first = await call.read()
    assert (first.metric, first.rows) == ("m", 5)
    assert not slow.go.is_set()
    slow.go.set()
    assert (await call.read()).metric == "slow"


async def test_a_chart_that_nobody_waits_for_reads_no_further(service, slow, monkeypatch):
    service.put("r", "slow", dict.fromkeys(range(1_000), 1.0))
    service.put("r", "more", dict.fromkeys(range(9_000), 1.0))
    ended = threading.Event()
    monkeypatch.setattr(service.store, "cancel", lambda mark: ended.set())
    request = pb.ChartRequest(run_ids=["r"], metrics=["m", "slow", "more"], points=10)
    call = service.stub.Chart(request)
    await call.read()
    await until(slow.begun.is_set)
    call.cancel()
    await until(ended.is_set)
    slow.go.set()
    await until(lambda: len(slow.ended) == 2)
    assert (await service.chart(run_ids=["r"], metrics=["m"]))[0].rows == 5
    assert slow.ended == [[siphash64("m")], [siphash64("slow")], [siphash64("m")]]


async def apart(call) -> tuple[int, list[pb.ChartLine]]:
    """The number of messages, and their lines."""
    messages = [message async for message in call]
    lines = []
    for message in messages:
        others = list(message.others)
        del message.others[:]
        lines += [message, *others]
    return len(messages), lines


async def test_lines_that_come_together_are_those_that_come_alone(service):
    metrics = [f"m{i:03}" for i in range(300)]
    for metric in metrics:
        service.put("r", metric, {0: 1.0, 3: float(metric[1:])})
    alone = pb.ChartRequest(run_ids=["r"], metrics=metrics, points=10)
    together = pb.ChartRequest(run_ids=["r"], metrics=metrics, points=10, together=True)
    count, lines = await apart(service.stub.Chart(alone))
    assert count == len(metrics) == len(lines)
    for _ in range(2):  # read, and from what was kept
        count, found = await apart(service.stub.Chart(together))
        assert count <= 5
        assert found == lines


async def test_lines_that_come_together_have_the_axis_that_was_defined(service):
    for metric in ("a", "b", "epoch"):
        service.put("r", metric, {step: float(step) for step in range(5)})
    service.runs.configs["r"] = {"_stepline": {"metrics": {"*": {"x": "epoch"}}}}
    asked = pb.ChartRequest(run_ids=["r"], metrics=["a", "b"], together=True)
    for _ in range(2):
        _, lines = await apart(service.stub.Chart(asked))
        assert [line.defined_x for line in lines] == ["metric:epoch"] * 2


async def test_a_line_that_is_ready_waits_for_no_other_that_would_come_with_it(service, slow):
    service.put("r", "slow", dict.fromkeys(range(1_000), 1.0))
    request = pb.ChartRequest(run_ids=["r"], metrics=["m", "slow"], points=10, together=True)
    call = service.stub.Chart(request)
    first = await call.read()
    assert (first.metric, len(first.others)) == ("m", 0)
    assert not slow.go.is_set()
    slow.go.set()
    assert (await call.read()).metric == "slow"


def test_messages_of_several_lines_stay_below_a_bound():
    rows = 3_000
    column = bytes(8 * rows)
    columns = dict.fromkeys(("x", *COLUMNS), column)
    lines = [pb.ChartLine(metric=str(i), rows=rows, **columns) for i in range(10)]
    large = pb.ChartLine(metric="large", rows=40 * rows, x=40 * column)
    query = chart_query(REQUEST)
    found = list(packed([*lines, large, pb.ChartLine(metric="last")], query))
    sizes = [message.ByteSize() for message in found]
    assert sizes.count(max(sizes)) == 1  # the large one, alone
    assert sorted(sizes)[-2] < 1.1 * (1 << 20)
    names = [line.metric for message in found for line in (message, *message.others)]
    assert names == [*map(str, range(10)), "large", "last"]


@pytest.mark.parametrize(("code", "says"), [(159, "60 s of a request"), (241, "MiB of memory")])
async def test_the_engine_is_held_to_the_limits_of_a_request(service, monkeypatch, code, says):
    given = []

    def stream_native(sql, params=None, settings=None):
        given.append(settings)
        raise StoreError("too much", code=code)

    monkeypatch.setattr(service.store, "stream_native", stream_native)
    service.store.memo.changed()
    with pytest.raises(grpc.aio.AioRpcError, match=says) as caught:
        await service.chart(run_ids=["r"], metrics=["m"])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "smaller range" in caught.value.details()
    assert all(Limits().of_a_query().items() <= settings.items() for settings in given)


async def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
