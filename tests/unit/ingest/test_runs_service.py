"""Starting, resuming, changing and ending runs, over tables in memory."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import Any

import grpc
import pytest

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import LIMITS, Context, Process, Refused


@pytest.fixture
def process() -> Process:
    return Process(MemoryRunTables())


async def test_a_first_start(process: Process) -> None:
    reply = await process.create(
        name="lr", config_json='{"lr": 0.1}', tags=["a", "b", "a"], created_ms=123, group="g"
    )
    assert reply.attempt == 1
    assert (reply.run.state, reply.run.attempts) == ("running", 1)
    assert json.loads(reply.run.config_json) == {"lr": 0.1}
    assert list(reply.run.tags) == ["a", "b"]
    assert reply.run.created_ms == 123
    assert not reply.run.HasField("exit_code")
    assert await process.restarted().run() == reply.run


async def test_the_same_call_again_changes_nothing(process: Process) -> None:
    writer = os.urandom(16)
    first = await process.create(writer=writer, config_json='{"a": 1}')
    writes = list(process.tables.writes)
    assert await process.create(writer=writer, config_json='{"a": 1}') == first
    assert process.tables.writes == writes
    # Nor after a restart, whatever `resume` says.
    assert await process.restarted().create(writer=writer, resume=runs_pb2.RESUME_MUST) == first


async def test_a_thousand_ranks_join_one_attempt(process: Process) -> None:
    ranks = 1_000
    replies = await asyncio.gather(
        *(
            process.create(
                rank=rank, world_size=ranks, config_json='{"lr": 1}', resume=runs_pb2.RESUME_ALLOW
            )
            for rank in range(ranks)
        )
    )
    assert {reply.attempt for reply in replies} == {1}
    assert process.tables.writes.count("runs") == 1
    assert process.tables.writes.count("attempts") == 1
    assert process.tables.writes.count("writers") < 50, "their rows go together"
    assert len(process.tables.writers) == ranks


async def test_launches_that_race_get_attempts_of_their_own(process: Process) -> None:
    replies = await asyncio.gather(
        *(
            process.create(
                launch_id=f"l{n % 5}",
                resume=runs_pb2.RESUME_ALLOW,
                on_live=runs_pb2.ON_LIVE_TAKE_OVER,
                rank=n // 5,
                world_size=4,
            )
            for n in range(20)
        )
    )
    by_launch: dict[int, set[int]] = {}
    for n, reply in enumerate(replies):
        by_launch.setdefault(n % 5, set()).add(reply.attempt)
    assert sorted(attempt for (attempt,) in by_launch.values()) == [1, 2, 3, 4, 5]
    assert (await process.restarted().run()).attempts == 5


async def test_of_two_new_runs_with_one_id_one_wins(process: Process) -> None:
    results = await asyncio.gather(
        process.create(launch_id="a"), process.create(launch_id="b"), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Refused)]
    assert len(refused) == 1
    assert refused[0].code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("resume", [runs_pb2.RESUME_UNSPECIFIED, runs_pb2.RESUME_NEVER])
async def test_a_taken_id_is_refused_with_the_remedy(process: Process, resume: Any) -> None:
    await process.create()
    with pytest.raises(Refused, match="resume='allow'") as refusal:
        await process.create(launch_id="other", resume=resume)
    assert refusal.value.code is grpc.StatusCode.ALREADY_EXISTS


async def test_must_needs_a_run(process: Process) -> None:
    await process.create(run_id="run-17")
    with pytest.raises(Refused, match="run-17") as refusal:
        await process.create(run_id="run-71", resume=runs_pb2.RESUME_MUST)
    assert refusal.value.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(Refused, match="not known"):
        await process.run("run-71")


@pytest.mark.parametrize(
    "resume", [runs_pb2.RESUME_ALLOW, runs_pb2.RESUME_MUST, runs_pb2.RESUME_AUTO]
)
async def test_a_resume_is_the_next_attempt(process: Process, resume: Any) -> None:
    await process.create(config_json='{"lr": 1, "seed": 3}', tags=["a"], name="n")
    await process.finish()
    assert (await process.run()).state == "finished"
    again = process.restarted()
    reply = await again.create(launch_id="l2", resume=resume, config_json='{"lr": 2}', tags=["b"])
    assert reply.attempt == 2
    assert json.loads(reply.run.config_json) == {"lr": 2, "seed": 3}
    assert (list(reply.run.tags), reply.run.name) == (["a", "b"], "n")
    assert reply.run.state == "running"
    assert process.tables.runs["r"].state == "running", "SQL sees it too"
    assert await again.restarted().run() == reply.run


async def test_rank_zero_has_the_last_word_on_the_config(process: Process) -> None:
    for rank in (2, 0, 1):
        await process.create(
            rank=rank, world_size=3, config_json=json.dumps({"who": rank, f"only{rank}": 1})
        )
    assert json.loads((await process.run()).config_json) == {
        "who": 0,
        "only0": 1,
        "only1": 1,
        "only2": 1,
    }


async def test_a_run_stays_in_its_project(process: Process) -> None:
    await process.create()
    with pytest.raises(Refused, match="project p"):
        await process.create(project="q", launch_id="x", resume=runs_pb2.RESUME_ALLOW)


async def test_updates_merge_top_level_keys(process: Process) -> None:
    await process.create(config_json='{"a": {"x": 1}, "b": 2}', tags=["t"], name="n")
    await process.update(config_json='{"a": {"y": 2}}', summary_json='{"best": 0.5}')
    await process.update(summary_json='{"last": NaN}', notes="why")
    run = await process.restarted().run()
    assert json.loads(run.config_json) == {"a": {"y": 2}, "b": 2}
    assert run.summary_json == '{"best":0.5,"last":NaN}'
    assert (run.notes, run.name, list(run.tags)) == ("why", "n", ["t"])
    await process.update(name="", tags=runs_pb2.TagList())
    run = await process.restarted().run()
    assert (run.name, list(run.tags)) == ("", [])


async def test_updates_that_race_all_count(process: Process) -> None:
    await process.create()
    await asyncio.gather(
        *(process.update(summary_json=json.dumps({f"k{n}": n})) for n in range(50))
    )
    summary = json.loads((await process.restarted().run()).summary_json)
    assert summary == {f"k{n}": n for n in range(50)}


async def test_the_state_survives_a_restart(process: Process) -> None:
    for rank in range(3):
        await process.create(rank=rank, world_size=3)
    assert (await process.restarted().run()).state == "running"
    await process.finish(rank=0)
    await process.finish(rank=0)
    await process.finish(rank=2)
    assert (await process.restarted().run()).state == "running"
    await process.restarted().finish(rank=1)
    run = await process.restarted().run()
    assert (run.state, run.exit_code) == ("finished", 0)
    assert (process.tables.runs["r"].state, process.tables.runs["r"].exit_code) == ("finished", 0)


async def test_one_failed_rank_fails_the_run(process: Process) -> None:
    for rank in range(4):
        await process.create(rank=rank, world_size=4)
    await process.finish(rank=3, exit_code=137)
    run = await process.run()
    assert (run.state, run.exit_code) == ("failed", 137)
    await process.finish(rank=1, exit_code=-9)
    await process.finish(rank=0)
    for life in (process, process.restarted()):
        run = await life.run()
        assert (run.state, run.exit_code) == ("failed", -9)
    # A new attempt is a new chance; a late word about the old one changes nothing.
    await process.create(launch_id="l2", resume=runs_pb2.RESUME_ALLOW)
    await process.finish(rank=2, exit_code=1, attempt=1)
    assert (await process.run()).state == "running"
    await process.finish(rank=0, attempt=2)
    assert (await process.restarted().run()).state == "finished"


async def test_a_thousand_ranks_end_together(process: Process) -> None:
    ranks = 1_000
    await process.create(world_size=ranks)
    process.tables.writes.clear()
    await asyncio.gather(*(process.finish(rank=rank) for rank in range(ranks)))
    assert (await process.restarted().run()).state == "finished"
    assert process.tables.writes.count("runs") == 1
    assert process.tables.writes.count("finishes") < 50


async def test_what_an_older_version_took_hinders_no_other_change(process: Process) -> None:
    await process.create(config_json='{"lr": 1}')
    (run,) = process.tables.runs.values()
    deep: list[Any] = []
    for _ in range(LIMITS.max_json_depth):
        deep = [deep]
    run.config["deep"] = deep
    again = process.restarted()
    await again.service.UpdateRun(runs_pb2.UpdateRunRequest(run_id=run.run_id, name="n"), Context())
    assert (await again.run()).name == "n"
    with pytest.raises(Refused, match="nested deeper"):
        await again.service.UpdateRun(
            runs_pb2.UpdateRunRequest(run_id=run.run_id, config_json='{"lr": 2}'), Context()
        )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run_id": ""}, "run id"),
        ({"run_id": "-x"}, "run id"),
        ({"run_id": "a/b"}, "run id"),
        ({"run_id": "x" * 65}, "64"),
        ({"run_id": "ä"}, "run id"),
        ({"run_id": "a\n"}, "run id"),
        ({"writer": b"short"}, "16 bytes"),
        ({"rank": 1, "world_size": 1}, "world_size"),
        ({"rank": 1 << 20, "world_size": 1 << 20}, "ranks count from 0 and lie below"),
        ({"world_size": 2**32 - 1}, "a world of 4294967295 ranks, 1048576 are allowed"),
        ({"config_json": "[1]"}, "object"),
        ({"config_json": "{"}, "JSON"),
        ({"config_json": "[" * 1_500}, "JSON"),
        ({"config_json": json.dumps({"x": "y" * 2_000})}, "allowed"),
        ({"name": "n" * 1_025}, "name has 1025 bytes"),
        ({"project": "n" * 1_025}, "project has 1025 bytes"),
        ({"tags": [str(n) for n in range(11)]}, "11 tags"),
        ({"resume": 77}, "resume"),
    ],
)
async def test_wrong_input_is_named(process: Process, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said) as refusal:
        await process.create(**fields)
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert process.tables.writes == []


async def test_a_config_does_not_grow_without_end(process: Process) -> None:
    await process.create()
    for n in range(15):
        await process.update(config_json=json.dumps({f"key{n}": "x" * 100}))
    with pytest.raises(Refused, match="allowed"):
        await process.update(config_json=json.dumps({"one more": "x" * 500}))


async def test_lists_newest_first(process: Process) -> None:
    for n in range(5):
        await process.create(run_id=f"r{n}", project="ab"[n % 2], created_ms=1_000 + n)

    async def listed(**fields: Any) -> tuple[list[str], int]:
        request = runs_pb2.ListRunsRequest(**fields)
        reply = await process.restarted().service.ListRuns(request, Context())
        return [run.run_id for run in reply.runs], reply.total

    assert await listed() == (["r4", "r3", "r2", "r1", "r0"], 5)
    assert await listed(project="a", limit=2) == (["r4", "r2"], 3)
    assert await listed(limit=2, offset=4) == (["r0"], 5)
    assert await listed(project="none") == ([], 0)


def hello(**fields: Any) -> ingest_pb2.Hello:
    return ingest_pb2.Hello(**{"writer": bytes(16), "run_id": "r", "attempt": 1, **fields})


async def test_hello_needs_a_run_and_keeps_a_place(process: Process) -> None:
    with pytest.raises(ServiceError, match="CreateRun first"):
        await process.service.bind(hello())
    await process.create(world_size=2)
    place = await process.service.bind(hello(rank=1))
    assert (place.run_id, place.attempt, place.rank) == ("r", 1, 1)
    with pytest.raises(ServiceError, match="attempts 1 to 1"):
        await process.service.bind(hello(attempt=2))
    with pytest.raises(ServiceError, match="world of 2"):
        await process.service.bind(hello(rank=2))
    for life in (process, process.restarted()):
        with pytest.raises(ServiceError, match="a writer is one process"):
            await life.service.bind(hello(rank=0))
        assert await life.service.bind(hello(rank=1)) == place


async def test_a_store_that_fails_means_later(process: Process) -> None:
    process.tables.failing = True
    with pytest.raises(Refused, match="try again later") as refusal:
        await process.create()
    assert refusal.value.code is grpc.StatusCode.UNAVAILABLE
    process.tables.failing = False
    assert (await process.create()).attempt == 1


async def test_the_cache_is_bounded_and_changes_nothing() -> None:
    process = Process(MemoryRunTables(), replace(LIMITS, max_cached_runs=2, max_cached_writers=2))
    for n in range(6):
        await process.create(run_id=f"r{n}", config_json=json.dumps({"n": n}))
    for n in range(6):
        assert json.loads((await process.run(f"r{n}")).config_json) == {"n": n}


async def test_a_thousand_runs_that_begin_together_cost_a_few_inserts(process: Process) -> None:
    """Else a sweep would keep its service busy for minutes."""
    runs = 1_000
    await asyncio.gather(*(process.create(run_id=f"sweep-{number}") for number in range(runs)))
    assert len(process.tables.runs) == runs
    for table in ("runs", "attempts", "descents", "writers"):
        assert process.tables.writes.count(table) < 50
