"""Promise: a run of another project is answered as one that does not exist, in the same words,
whatever became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import Context, Process, Refused

OTHER: dict[str, Any] = {"project": "q", "launch_id": "mine"}
NEW_RUN: dict[str, Any] = {
    "resume": runs_pb2.RESUME_ALLOW,
    "on_live": runs_pb2.ON_LIVE_NEW_RUN,
}


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """With runs of project p: `lives-p`, and `was-p`, which was deleted. Asked by a key of q."""
    made = Process(MemoryRunTables())
    for run_id in ("lives-p", "was-p"):
        await made.create(run_id=run_id, launch_id="secret")
    request = runs_pb2.DeleteRunRequest(run_id="was-p")
    await made.service.DeleteRun(request, Context())
    monkeypatch.setattr("stepline_ingest.access.project", lambda: "q")
    return made


async def update(process: Process, run_id: str) -> None:
    await process.update(run_id=run_id)


async def finish(process: Process, run_id: str) -> None:
    await process.finish(run_id=run_id)


async def bring_back(process: Process, run_id: str) -> None:
    await process.bring_back(1, run_id=run_id)


async def fork(process: Process, run_id: str) -> None:
    await process.create(run_id="mine", fork_from=f"{run_id}@5", **OTHER)


async def hello(process: Process, run_id: str) -> None:
    await process.service.bind(
        ingest_pb2.Hello(writer=os.urandom(16), run_id=run_id, attempt=1, rank=0)
    )


async def get(process: Process, run_id: str) -> None:
    await process.run(run_id)


@pytest.mark.parametrize("call", [update, finish, bring_back, fork, hello, get])
@pytest.mark.parametrize("restarted", [False, True])
async def test_that_a_run_of_others_was_deleted_is_not_told(
    process: Process,
    call: Callable[[Process, str], Coroutine[Any, Any, None]],
    restarted: bool,
) -> None:
    if restarted:
        process = process.restarted()
        await process.repository.load_deleted()
    told = set()
    for run_id in ("never-p", "lives-p", "was-p"):
        with pytest.raises((Refused, ServiceError)) as refusal:
            await call(process, run_id)
        assert refusal.value.code is grpc.StatusCode.NOT_FOUND
        told.add(str(refusal.value).replace(run_id, "ID"))
    assert len(told) == 1


async def test_who_may_see_the_project_is_told(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in ("p", None):
        monkeypatch.setattr("stepline_ingest.access.project", lambda project=project: project)
        for call in (update, finish, bring_back, hello):
            with pytest.raises((Refused, ServiceError), match="was deleted") as refusal:
                await call(process, "was-p")
            assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_where_the_project_is_not_known_bound_keys_are_not_told(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.tables.gone["old"] = ""
    again = process.restarted()
    await again.repository.load_deleted()
    with pytest.raises(Refused, match="not known here"):
        await update(again, "old")
    monkeypatch.setattr("stepline_ingest.access.project", lambda: None)
    with pytest.raises(Refused, match="was deleted"):
        await update(again, "old")


async def test_the_id_of_a_deleted_run_is_not_used_again_by_anyone(process: Process) -> None:
    with pytest.raises(Refused, match="its id is not used again"):
        await process.create(run_id="was-p", **OTHER)


async def test_whether_a_run_of_others_lives_is_not_told(process: Process) -> None:
    await process.create(run_id="own", **OTHER)
    told = set()
    for launch_id in ("guess", "secret"):
        with pytest.raises(Refused) as refusal:
            await process.create(run_id="lives-p", **{**OTHER, **NEW_RUN, "launch_id": launch_id})
        told.add(str(refusal.value))
    with pytest.raises(Refused) as refusal:
        await process.create(run_id="lives-p", **OTHER)
    told.add(str(refusal.value))
    assert told == {
        "ALREADY_EXISTS: run lives-p exists already elsewhere; leave run_id out, or pass another "
        "run_id"
    }
    assert set(process.tables.runs) == {"lives-p", "was-p", "own"}


async def test_of_ones_own_runs_it_is_seen_whether_they_live(process: Process) -> None:
    await process.create(run_id="own", **OTHER)
    reply = await process.create(run_id="own", **{**OTHER, **NEW_RUN, "launch_id": "second"})
    assert reply.run.run_id.startswith("own-")


async def test_forks_of_other_projects_are_not_named(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepline_ingest.access.project", lambda: None)
    process.log("lives-p", 1, 0, 100)
    await process.create(run_id="secret-fork", fork_from="lives-p@5", **OTHER)
    monkeypatch.setattr("stepline_ingest.access.project", lambda: "p")
    request = runs_pb2.DeleteRunRequest(run_id="lives-p")
    with pytest.raises(Refused, match=r"has forks .*\(some of other projects\)"):
        await process.service.DeleteRun(request, Context())
