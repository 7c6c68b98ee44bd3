"""Promise: every question has a whole answer, or an error that says what to do instead."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import AsyncIterator

import grpc
import pytest

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.query import export, plan
from stepline_ingest.query.history import CHUNK_ROWS
from tests.support.points import Point
from tests.support.query_service import CREATED, Harness, serving

NAN, INF = float("nan"), float("inf")


@pytest.fixture
async def service(embedded) -> AsyncIterator[Harness]:
    async with serving(embedded) as harness:
        yield harness


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_history_is_every_point_in_order_through_attempts(service):
    service.put("r", "m", {5: 1.0, 1: NAN, 3: -INF, 9: 4.0})
    service.put("r", "m", {3: 2.5})
    service.put("r", "m", {7: 8.0, 8: 9.0}, attempt=2)
    service.put("r", "other", {6: 0.0}, attempt=2)
    service.put("r", "m", {2: 77.0}, rank=1)
    steps, values = await service.history(run_id="r", metric="m")
    # Attempt 2 begins at step 6, with another metric: the 9 of attempt 1 is superseded.
    assert steps == [1, 3, 3, 5, 7, 8]
    assert str(values) == str([NAN, -INF, 2.5, 1.0, 8.0, 9.0])
    assert await service.history(run_id="r", metric="m", start=3, stop=8) == (
        [3, 3, 5, 7],
        [-INF, 2.5, 1.0, 8.0],
    )
    assert await service.history(run_id="r", metric="m", rank=1) == ([2], [77.0])
    assert await service.history(run_id="r", metric="m", rank=9) == ([], [])


async def test_a_long_history_comes_in_chunks_and_can_be_left(service):
    total = 3 * CHUNK_ROWS + 5
    service.store.command(
        "INSERT INTO raw_points "
        "(run, metric, rank, attempt, step, time, value, writer, seq, received) "
        f"SELECT {siphash64('long')}, {siphash64('m')}, 0, 1, number, 0, number, 1, number + 1, "
        f"toDateTime(1790000000) FROM numbers({total})"
    )
    service.runs.known["long"] = 1
    chunks = [c async for c in service.stub.History(pb.HistoryRequest(run_id="long", metric="m"))]
    assert sum(c.rows for c in chunks) == total
    assert max(c.rows for c in chunks) <= CHUNK_ROWS
    assert b"".join(c.step for c in chunks) == struct.pack(f"<{total}q", *range(total))
    call = service.stub.History(pb.HistoryRequest(run_id="long", metric="m"))
    await call.read()
    call.cancel()
    # The connections are given back: more readers than threads and connections still get answers.
    for _ in range(6):
        call = service.stub.History(pb.HistoryRequest(run_id="long", metric="m"))
        await call.read()
        call.cancel()
    assert (await service.history(run_id="long", metric="m", stop=1))[0] == [0]


async def test_an_export_is_every_point_that_the_run_shows(service):
    service.put("r", "train/loss", {1: 1.0, 2: 2.0, 9: 9.0})
    service.put("r", "train/loss", {1: 5.0}, rank=3)
    service.put("r", "train/[lr]", {2: 0.1})
    service.put("r", "eval", {7: INF}, attempt=2)
    service.put("other", "train/loss", {1: 77.0})
    superseded = ("train/loss", 0, 1, 9, 9.0)
    shown = [
        ("eval", 0, 2, 7, INF),
        ("train/[lr]", 0, 1, 2, 0.1),
        ("train/loss", 0, 1, 1, 1.0),
        ("train/loss", 0, 1, 2, 2.0),
        ("train/loss", 3, 1, 1, 5.0),
    ]
    assert sorted(await service.export(run_id="r")) == shown
    assert sorted(await service.export(run_id="r", all_attempts=True)) == sorted(
        [*shown, superseded]
    )
    assert sorted(await service.export(run_id="r", metrics=["train/*"])) == shown[1:]
    assert await service.export(run_id="r", metrics=["train/[lr]", "?val"], start=3) == shown[:1]
    assert await service.export(run_id="r", ranks=[3, 4]) == shown[-1:]
    assert await service.export(run_id="r", start=1, stop=1) == []
    code, text = await refused(service.export(run_id="r", metrics=["train/lss"]))
    assert (code, "'train/loss'" in text) == (grpc.StatusCode.NOT_FOUND, True), text
    for bad in ({"after": b"x"}, {"start": 2, "stop": 1}):
        code, text = await refused(service.export(run_id="r", **bad))
        assert code == grpc.StatusCode.INVALID_ARGUMENT, text


async def test_an_export_goes_on_behind_any_chunk(service, monkeypatch):
    monkeypatch.setattr(export, "CHUNK_ROWS", 4)
    monkeypatch.setitem(export.IN_ORDER, "max_block_size", 4)
    for rank in (0, 1):
        # Equal steps, more of them than a chunk holds.
        for step in (1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3):
            service.put("r", "a", {step: float(step)}, rank=rank)
        service.put("r", "b", {2: 1.0, 3: 2.0}, rank=rank)
    seq = [row async for _, row in service.export_chunks(run_id="r")]
    whole = [row for rows in seq for row in rows]
    assert len(whole) == 28
    assert len(seq) >= 7
    seen = 0
    async for cursor, rows in service.export_chunks(run_id="r"):
        seen += len(rows)
        rest = await service.export(run_id="r", after=cursor)
        assert rest == whole[seen:]
    assert seen == len(whole)


async def test_metrics_say_what_the_run_shows(service):
    service.put("r", "train/loss", {0: 4.0, 10: NAN, 20: -1.0})
    service.put("r", "train/loss", {20: 7.0}, rank=3)
    service.put("r", "eval", {0: NAN})
    service.put("r", "train/loss", {15: 2.0}, attempt=2)
    reply = await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="r"))
    assert [m.name for m in reply.metrics] == ["eval", "train/loss"]
    dead, loss = reply.metrics
    assert (dead.count, dead.nonfinite, dead.ranks) == (1, 1, 1)
    assert all(math.isnan(v) for v in (dead.min, dead.max, dead.last_value))
    assert (loss.count, loss.ranks, loss.first_step, loss.last_step) == (3, 1, 0, 15)
    assert (loss.last_value, loss.min, loss.max, loss.nonfinite) == (2.0, 2.0, 4.0, 1)
    some = await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="r", prefix="train/"))
    assert [m.name for m in some.metrics] == ["train/loss"]


async def test_metrics_are_found_by_prefix_pattern_and_regex(service):
    names = ["eval/a.b", "eval/axb", "train/grad/0", "train/grad/1", "train/loss", "überraschung"]
    for name in names:
        service.put("r", name, {0: 1.0})

    async def found(**conditions) -> tuple[list[str], int]:
        reply = await service.stub.ListMetrics(pb.ListMetricsRequest(run_id="r", **conditions))
        return [metric.name for metric in reply.metrics], reply.total

    assert await found() == (names, 6)
    assert await found(pattern="eval/a.b") == (["eval/a.b"], 1)
    assert await found(pattern="*/grad/?") == (names[2:4], 2)
    assert await found(pattern="?berraschung") == (names[5:], 1)
    assert await found(pattern="grad") == ([], 0)
    assert await found(regex="a.b$") == (names[:2], 2)
    assert await found(prefix="train/", regex="[1s]") == (names[3:5], 2)
    assert await found(limit=2, offset=1) == (names[1:3], 6)
    assert await found(offset=4) == (names[4:], 6)
    assert await found(limit=2, offset=9) == ([], 6)
    assert await found(prefix="train/", limit=2, offset=2) == (["train/loss"], 3)
    code, text = await refused(found(regex="(open"))
    assert (code, "'(open'" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), text


async def test_a_chart_is_lines_of_columns(service):
    service.put("r", "m", {0: 4.0, 1: 2.0, 2: NAN, 3: 8.0})
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=2)
    assert (line.rows, line.bucket_width, line.tier_width) == (2, 2, 0)
    assert not line.HasField("rank")
    assert struct.unpack("<2q", line.x) == (0, 2)
    assert struct.unpack("<2d", line.min) == (2.0, 8.0)
    assert struct.unpack("<2d", line.mean) == (3.0, 8.0)
    assert struct.unpack("<2q", line.argmin) == (1, 3)
    assert struct.unpack("<2Q", line.count) == (2, 2)
    assert struct.unpack("<2Q", line.nonfinite) == (0, 1)
    (one,) = await service.chart(
        run_ids=["r"], metrics=["m"], ranks=pb.RankSelection(rank=5), points=2
    )
    assert (one.rows, one.rank) == (0, 5)
    (none,) = await service.chart(run_ids=["r"], metrics=["m"], start=9, stop=9)
    assert none.rows == 0


@pytest.mark.parametrize("tier", [False, True])
async def test_a_chart_lies_over_time(service, monkeypatch, tier):
    monkeypatch.setattr(plan, "RAW_POINTS", 0 if tier else 2**64)
    # Step and time do not run alike, and two attempts overlap.
    for attempt, first in ((1, 0), (2, 600)):
        service.put_many(
            "r",
            "m",
            [
                Point(step=s, value=s, time=CREATED + 2 * s + attempt, seq=0)
                for s in range(first, 1000)
            ],
            attempt=attempt,
        )
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=8, x="time")
    assert line.tier_width == (128 if tier else 0)
    x = struct.unpack("<8q", line.x)
    assert x == tuple(range(0, 1000, 128))
    times = [CREATED + 2 * s + (1 if s < 600 else 2) for s in x]
    assert struct.unpack("<8q", line.at) == tuple(times)
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=8, x="relative")
    assert struct.unpack("<8q", line.at) == tuple(t - CREATED for t in times)
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=8)
    assert line.at == b""


async def test_a_chart_lies_over_another_metric(service):
    service.put("r", "loss", {s: -s for s in range(10)})
    service.put("r", "tokens", {2: 200.0, 5: 500.0, 6: NAN, 8: 80.0}, rank=3)
    service.put("s", "loss", {1: 1.0})

    async def over(**request) -> list[tuple[int, float]]:
        lines = await service.chart(
            run_ids=["r", "s"], metrics=["loss"], x="metric:tokens", **request
        )
        assert [line.rows for line in lines[1:]] == [0]
        count = lines[0].rows
        steps = struct.unpack(f"<{count}q", lines[0].x)
        return list(zip(steps, struct.unpack(f"<{count}d", lines[0].at), strict=True))

    # No tokens are known at steps 0 and 1; what is not finite is no place.
    known = [(s, 200.0) for s in (2, 3, 4)] + [(s, 500.0) for s in (5, 6, 7)]
    assert await over() == [*known, (8, 80.0), (9, 80.0)]
    assert await over(points=5) == [(2, 200.0), (4, 500.0), (6, 500.0), (8, 80.0)]
    # What was logged before a range counts in it.
    assert await over(start=3, stop=6) == [(3, 200.0), (4, 200.0), (5, 500.0)]
    assert await over(start=7, stop=8) == [(7, 500.0)]
    code, text = await refused(service.chart(run_ids=["r"], metrics=["loss"], x="metric:token"))
    assert (code, "'tokens'" in text) == (grpc.StatusCode.NOT_FOUND, True), text


async def test_only_the_columns_that_are_asked_for_come(service):
    service.put("r", "m", {0: 4.0, 1: NAN, 2: 8.0, 3: INF})
    every = set(pb.ChartLine.DESCRIPTOR.fields_by_name) - {"run_id", "metric"}
    for asked in (["mean"], ["count", "argnonfinite"], ["at", "first", "last"], ["argmin"]):
        (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=2, columns=asked)
        got = {name for name in every if isinstance(value := getattr(line, name), bytes) and value}
        assert got == {"x", *asked} - {"at"}
    (line,) = await service.chart(run_ids=["r"], metrics=["m"], points=2, columns=["argnonfinite"])
    assert struct.unpack("<2q", line.argnonfinite) == (1, 3)


async def test_bad_charts_are_told_what_to_change(service):
    service.put("r", "train/loss", {0: 1.0})
    service.put("s", "other", {0: 1.0})
    good = {"run_ids": ["r"], "metrics": ["train/loss"]}
    for change, says in [
        ({"points": 100_001}, "fewer"),
        ({"points": 1_000_000_000}, "fewer"),
        ({"columns": ["mean", "median"]}, "it has x, min"),
        ({"x": "tokens"}, "'metric:'"),
        ({"x": "metric:"}, "'metric:'"),
        ({"start": 5, "stop": 4}, "swap start and stop"),
        ({"metrics": []}, "at least one"),
        (
            {"run_ids": [f"{i}" for i in range(200)], "metrics": list(map(str, range(51)))},
            "several",
        ),
        ({"run_ids": ["r"] * 10_001}, "10000 of each are allowed"),
        ({"metrics": ["train/loss"] * 10_001}, "10000 of each are allowed"),
        ({"columns": ["mean"] * 101}, "101 columns, 100 are allowed"),
    ]:
        code, text = await refused(service.chart(**{**good, **change}))
        assert (code, says in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    code, text = await refused(service.chart(run_ids=["nope"], metrics=["train/loss"]))
    assert code == grpc.StatusCode.NOT_FOUND
    code, text = await refused(service.chart(run_ids=["r"], metrics=["train/los"]))
    assert (code, "'train/loss'" in text) == (grpc.StatusCode.NOT_FOUND, True), text
    # One unknown pair among known ones is an empty line.
    lines = await service.chart(run_ids=["r", "s"], metrics=["train/loss"])
    assert [(line.run_id, line.rows) for line in lines] == [("r", 1), ("s", 0)]
    code, text = await refused(service.history(run_id="r", metric="train/lss"))
    assert (code, "'train/loss'" in text) == (grpc.StatusCode.NOT_FOUND, True), text
    code, _ = await refused(service.history(run_id="r", metric="train/loss", start=2, stop=1))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


async def test_metrics_of_too_many_runs_are_refused(service):
    request = pb.ListMetricsRequest(run_ids=["r"] * 1_001)
    code, text = await refused(service.stub.ListMetrics(request))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "1001 runs, 1000 are allowed: name fewer",
    )


async def test_sql_reads_and_only_reads(service):
    service.put("r", "m", {0: NAN, 1: INF, 2: 2.0})
    rows = [
        json.loads(row)
        for row in (
            await service.sql("SELECT step, value FROM raw_points ORDER BY step")
        ).splitlines()
    ]
    assert rows == [["step", "value"], ["Int64", "Float64"], [0, "nan"], [1, "inf"], [2, 2.0]]
    assert await service.sql("SELECT 1 AS a", "CSVWithNames") == b'"a"\n1\n'
    for query, code in [
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        ("SELEC 1", grpc.StatusCode.INVALID_ARGUMENT),
        ("SELECT nope FROM points", grpc.StatusCode.INVALID_ARGUMENT),
        ("INSERT INTO raw_metrics VALUES (1, 1, 'x', 0)", grpc.StatusCode.PERMISSION_DENIED),
        ("DROP TABLE raw_points", grpc.StatusCode.PERMISSION_DENIED),
    ]:
        got, text = await refused(service.sql(query))
        assert got == code, (query, text)
        assert len(text) < 1000
    assert (await service.sql("SELECT count() FROM raw_points", "TSV")) == b"3\n"
    # A format in the text does, where the request does not ask for another one.
    assert await service.sql("SELECT 1 AS a FORMAT CSVWithNames") == b'"a"\n1\n'
    assert await service.sql("SELECT 1 AS a FORMAT CSV", "CSV") == b"1\n"
    code, text = await refused(service.sql("SELECT 1 AS a FORMAT Native", "CSV"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "leave FORMAT out" in text


@pytest.mark.parametrize("fmt", ["DataFrame", "dataframe", "ArrowTable", "DATASTORE"])
async def test_an_object_of_python_is_no_answer(service, fmt):
    for asked in (service.sql("SELECT 1", fmt), service.sql(f"SELECT 1 FORMAT {fmt}")):
        code, text = await refused(asked)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert "use Arrow, Parquet or JSONEachRow" in text


@pytest.mark.parametrize(
    "query",
    [
        "SELECT toInt8(unhex('ff'))",
        "SELECT throwIf(1, unhex('ff'))",
        "SELECT throwIf(number = 300000, unhex('ff')) FROM numbers(1000000) FORMAT JSON",
        "SELECT throwIf(number = 300000, unhex('ff')) FROM numbers(1000000) FORMAT TSV",
    ],
)
async def test_an_error_that_is_no_text_is_one_of_the_query(service, query):
    code, text = await refused(service.sql(query))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "\ufffd" in text
