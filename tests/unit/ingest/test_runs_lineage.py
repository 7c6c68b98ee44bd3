"""Promise: forks, rewinds and what is brought back show what was asked for, and nothing is shown or
deleted that must not be.
"""

from __future__ import annotations

import asyncio

import grpc
import pytest

from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.run_record import Missing
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import Context, Process, Refused

FIRST, LAST = -(2**63), 2**63 - 1
ALLOW = runs_pb2.RESUME_ALLOW


@pytest.fixture
async def process() -> Process:
    """With a finished run `r` that has logged the steps 0 to 700."""
    made = Process(MemoryRunTables())
    await made.create()
    made.log("r", 1, 0, 700)
    await made.finish()
    return made


async def test_a_fork_begins_with_what_the_other_run_shows(process: Process) -> None:
    reply = await process.create(run_id="f", launch_id="lf", fork_from="r@500")
    assert (reply.run.fork_run_id, reply.run.fork_step) == ("r", 500)
    for life in (process, process.restarted()):
        assert await life.shown("f") == [("r", 1, FIRST, 500), ("f", 1, 501, LAST)]
    # A fork of the fork, at a step that is the grandparent's.
    await process.create(run_id="g", launch_id="lg", fork_from="f@100")
    assert await process.restarted().shown("g") == [("r", 1, FIRST, 100), ("g", 1, 101, LAST)]


async def test_a_fork_does_not_follow_what_becomes_of_the_other_run(process: Process) -> None:
    await process.create(run_id="f", launch_id="lf", fork_from="r@500")
    before = await process.shown("f")
    await process.create(launch_id="l2", resume=ALLOW, fork_from="r@100")
    process.log("r", 2, 101, 900)
    assert await process.shown("r") == [("r", 1, 0, 100), ("r", 2, 101, LAST)]
    assert await process.restarted().shown("f") == before
    await process.create(run_id="h", launch_id="lh", fork_from="r@500")
    assert (await process.shown("h"))[:2] == [("r", 1, FIRST, 100), ("r", 2, 101, 500)]


async def test_a_job_that_starts_again_with_the_arguments_of_its_fork_resumes_it(
    process: Process,
) -> None:
    fork = {"run_id": "f", "fork_from": "r@500", "resume": ALLOW}
    await process.create(launch_id="lf", **fork)
    process.log("f", 1, 501, 600)
    await process.finish(run_id="f")
    assert (await process.create(launch_id="lf2", **fork)).attempt == 2
    process.log("f", 2, 550, 560)
    assert (await process.shown("f"))[1:] == [("f", 1, 501, 549), ("f", 2, 550, LAST)]
    with pytest.raises(Refused, match="was forked from r@500") as refusal:
        await process.create(launch_id="lf3", **{**fork, "fork_from": "r@7"})
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_rewind_counts_before_it_has_logged(process: Process) -> None:
    reply = await process.create(launch_id="l2", resume=ALLOW, fork_from="r@500")
    assert (reply.attempt, reply.run.fork_run_id) == (2, "")
    assert await process.restarted().shown() == [("r", 1, 0, 500), ("r", 2, 501, LAST)]
    (_, second) = (await process.lineage()).attempts
    assert second.begin_step == 501


async def test_what_was_superseded_is_brought_back(process: Process) -> None:
    await process.create(launch_id="l2", resume=ALLOW, fork_from="r@500")
    process.log("r", 2, 501, 600)
    await process.bring_back(1, 550)
    shown = [("r", 1, 0, 500), ("r", 2, 501, 549), ("r", 1, 550, LAST)]
    assert await process.restarted().shown() == shown
    # Twice is once.
    writes = list(process.tables.writes)
    await process.bring_back(1, 550)
    assert process.tables.writes == writes
    await process.bring_back(2)
    assert await process.shown() == [("r", 1, 0, 500), ("r", 2, 501, LAST)]
    with pytest.raises(Refused, match="attempts 1 to 2, not 3"):
        await process.bring_back(3)


@pytest.mark.parametrize(
    ("origin", "code", "words"),
    [
        ("x@5", grpc.StatusCode.NOT_FOUND, "run x is not known here"),
        ("r@701", grpc.StatusCode.INVALID_ARGUMENT, "shows the steps 0 to 700, not 701"),
        ("r@-1", grpc.StatusCode.INVALID_ARGUMENT, "shows the steps 0 to 700, not -1"),
        ("r", grpc.StatusCode.INVALID_ARGUMENT, "RUN_ID@STEP"),
        ("r@5@6", grpc.StatusCode.INVALID_ARGUMENT, "RUN_ID@STEP"),
        (f"r@{2**63 - 1}", grpc.StatusCode.INVALID_ARGUMENT, "RUN_ID@STEP"),
        ("f@5", grpc.StatusCode.NOT_FOUND, "cannot be forked from itself"),
        ("empty@5", grpc.StatusCode.INVALID_ARGUMENT, "has no points yet"),
    ],
)
async def test_a_fork_of_what_is_not_there(
    process: Process, origin: str, code: grpc.StatusCode, words: str
) -> None:
    await process.create(run_id="empty", launch_id="le")
    with pytest.raises(Refused, match=words) as refusal:
        await process.create(run_id="f", launch_id="lf", fork_from=origin)
    assert refusal.value.code is code
    assert "f" not in process.tables.runs


async def test_runs_that_are_forked_from_each_other_do_not_wait_for_ever(process: Process) -> None:
    results = await asyncio.wait_for(
        asyncio.gather(
            process.create(run_id="a", launch_id="la", fork_from="b@1"),
            process.create(run_id="b", launch_id="lb", fork_from="a@1"),
            return_exceptions=True,
        ),
        10,
    )
    assert all(isinstance(result, Refused) for result in results)


async def test_a_run_with_forks_is_not_deleted(process: Process) -> None:
    await process.create(run_id="f", launch_id="lf", fork_from="r@500")

    async def delete(run_id: str) -> None:
        request = runs_pb2.DeleteRunRequest(run_id=run_id)
        await process.service.DeleteRun(request, Context())

    with pytest.raises(Refused, match=r"has forks that show its points \(f\)") as refusal:
        await delete("r")
    assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION
    await delete("f")
    await delete("r")
    with pytest.raises(Refused, match="was deleted"):
        await process.create(launch_id="l2", resume=ALLOW)
    with pytest.raises(Refused, match="was deleted"):
        await process.create(run_id="n", launch_id="ln", fork_from="r@5")


async def test_a_key_of_another_project_can_fork_and_bring_back_nothing(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepline_ingest.access.project", lambda: "q")
    foreign = {"project": "q", "run_id": "f", "launch_id": "lf"}
    told = set()
    for origin in ("r@500", "unknown@500"):
        with pytest.raises(Refused) as refusal:
            await process.create(**foreign, fork_from=origin)
        told.add(str(refusal.value).replace("unknown", "r").split("(")[0].split(":")[1])
    assert len(told) == 1, "whether a run exists elsewhere is not told"
    with pytest.raises(Refused, match="not known here"):
        await process.bring_back(1)
    with pytest.raises(Refused, match="not known here"):
        await process.lineage()
    assert await process.beat(("r", 1)) == [("r", 1)], "as if it were not there"
    assert (await process.restarted().repository.get("r")).state == "finished"


async def test_rows_of_older_versions_say_that_nothing_is_missing(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Missing(attempt=1, rank=0, count=-2, reason="too_large", time_ms=1)
    monkeypatch.setattr(process.tables, "missing", lambda run_id: [odd])
    assert [one.count for one in (await process.lineage()).missing] == [0]
