"""Promise: a range of time or of another metric shows each run there, as finely as its points
are."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import grpc
import pytest

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.lineage import Descent
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.request import chart_query
from stepline_ingest.retention import expire
from stepline_ingest.schema.upkeep import build_rollups
from tests.support.query_service import CREATED, Harness, serving

STEPS = 40_000


@pytest.fixture
async def service(embedded) -> AsyncIterator[Harness]:
    async with serving(embedded) as harness:
        yield harness


def put(service: Harness, run: str, *, every: int, begin: int = CREATED) -> None:
    """STEPS points of `loss`, one in EVERY milliseconds, and of `epoch` that rises by 1 in 1,000
    steps and falls again in the second half."""
    half = STEPS // 2
    for metric, value in (
        ("loss", "number / 7"),
        ("epoch", f"({half} - abs({half} - number)) / 1e3"),
    ):
        service.store.command(
            "INSERT INTO raw_points "
            "(run, metric, rank, attempt, step, time, value, writer, seq, received) "
            f"SELECT {siphash64(run)}, {siphash64(metric)}, 0, 1, number, "
            f"fromUnixTimestamp64Milli(toInt64({begin} + number * {every})), {value}, 1, "
            f"number + 1, toDateTime(1790000000) FROM numbers({STEPS})"
        )
        service.store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name", "first_seen"),
            [(siphash64(run), siphash64(metric), metric, 0)],
        )
    service.runs.known[run] = 1
    build_rollups(service.store)


def at(line: pb.ChartLine, kind: str = "q") -> list[float]:
    return list(struct.unpack(f"<{line.rows}{kind}", line.at))


async def test_each_run_is_read_over_its_own_steps_of_a_span_of_time(service):
    put(service, "fast", every=10)
    put(service, "slow", every=1_000, begin=CREATED + 100_000)
    asked = {"run_ids": ["fast", "slow"], "metrics": ["loss"], "points": 200, "x": "time"}
    lo, hi = CREATED + 150_000, CREATED + 350_000
    lines = await service.chart(**asked, at_start=lo, at_stop=hi)
    assert [line.run_id for line in lines] == ["fast", "slow"]
    for line, step_ms in zip(lines, (10, 1_000), strict=True):
        places = at(line)
        width = line.bucket_width * step_ms
        # All of the span, a few buckets more, and a bucket no wider than a hundredth of it.
        assert places[0] <= lo + width
        assert places[-1] >= hi - 2 * width
        assert lo - 8 * width <= places[0]
        assert places[-1] <= hi + 8 * width
        assert width <= (hi - lo) / 100 or line.bucket_width == 1


async def test_a_span_of_relative_time_and_of_steps_cut_together(service):
    put(service, "r", every=10)
    asked = {"run_ids": ["r"], "metrics": ["loss"], "points": 100, "x": "relative"}
    (line,) = await service.chart(**asked, at_start=200_000, start=25_000)
    assert at(line)[0] == 250_000
    assert at(line)[-1] >= (STEPS - line.bucket_width) * 10
    (whole,) = await service.chart(**asked, at_stop=float("inf"))
    assert at(whole)[0] == 0


async def test_a_span_of_another_metric_is_every_step_between_its_visits(service):
    put(service, "r", every=10)
    asked = {"run_ids": ["r"], "metrics": ["loss"], "points": 400, "x": "metric:epoch"}
    (line,) = await service.chart(**asked, at_start=18.0, at_stop=30.0)
    # Up from step 18,000 on, and down until 22,000.
    steps = struct.unpack(f"<{line.rows}q", line.x)
    assert 17_800 <= steps[0] <= 18_000
    assert 21_900 <= steps[-1] <= 22_200
    assert max(at(line, "d")) > 19.9


async def test_the_last_cell_of_expired_points_goes_on_behind_its_first_step(service):
    put(service, "r", every=10)
    ((month,),) = service.store.query("SELECT DISTINCT toYYYYMM(received) FROM raw_points")
    expire(service.store, month)
    asked = {"run_ids": ["r"], "metrics": ["loss"], "points": 100, "x": "relative"}
    (line,) = await service.chart(**asked, start=STEPS - 64, at_start=(STEPS - 10) * 10)
    assert line.rows == 1


async def test_where_no_run_ever_is_there_are_no_lines(service):
    put(service, "r", every=10)
    asked = {"run_ids": ["r"], "metrics": ["loss"], "x": "relative"}
    assert all(not line.rows for line in await service.chart(**asked, at_start=1e12, at_stop=2e12))


async def test_on_the_axis_of_steps_it_is_a_range_of_steps(service):
    put(service, "r", every=10)
    asked = {"run_ids": ["r"], "metrics": ["loss"], "points": 100}
    (line,) = await service.chart(**asked, at_start=10.5, at_stop=20.0)
    assert struct.unpack(f"<{line.rows}q", line.x) == tuple(range(11, 21))
    (same,) = await service.chart(**asked, start=11, stop=21)
    assert same.x == line.x


async def test_runs_of_a_group_share_one_grid(service):
    put(service, "a", every=10)
    put(service, "b", every=20)
    request = pb.ChartRequest(run_ids=["a", "b"], metrics=["loss"], points=100, x="relative")
    request.MergeFrom(pb.ChartRequest(group_by="config.lr", at_start=100_000, at_stop=200_000))
    descents = {run: Descent.of_attempts(siphash64(run), [1]) for run in "ab"}
    began = dict.fromkeys("ab", CREATED)
    query, groups = chart_query(request), {"1": ["a", "b"]}
    (line,) = read_chart(service.store, query, descents, {}, began=began, groups=groups)
    steps = struct.unpack(f"<{line.rows}q", line.x)
    # b is at step 5,000 when a is at 10,000 already.
    assert 4_500 <= steps[0] <= 5_000
    assert 20_000 <= steps[-1] + line.bucket_width <= 21_000


@pytest.mark.parametrize("span", [(2.0, 1.0), (float("nan"), 1.0)])
async def test_a_span_that_is_none_is_refused(service, span):
    asked = pb.ChartRequest(run_ids=["r"], metrics=["m"], x="time", at_start=span[0])
    asked.at_stop = span[1]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [line async for line in service.stub.Chart(asked)]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "at_start" in caught.value.details()
