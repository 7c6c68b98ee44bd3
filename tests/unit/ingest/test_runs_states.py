"""Promise: a run says how it fares by the clock of the service, one attempt at a time holds it, and
a second start is refused, takes over, or becomes a run of its own, as it chose.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2
from stepline_ingest.run_record import Attempt, End
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import Process, Refused

ALLOW = runs_pb2.RESUME_ALLOW
SECOND: dict[str, Any] = {"launch_id": "l2", "resume": ALLOW}


@pytest.fixture
async def process() -> Process:
    """With a run `r` that has begun."""
    made = Process(MemoryRunTables())
    await made.create(host="node-7", pid=4711)
    return made


async def state(process: Process) -> str:
    """As it is, as SQL sees it, and as a service that starts anew sees it."""
    found = {
        (await process.run()).state,
        process.tables.runs["r"].state,
        (await process.restarted().run()).state,
    }
    assert len(found) == 1, found
    return found.pop()


async def hello(process: Process, attempt: int = 1) -> None:
    await process.service.bind(
        ingest_pb2.Hello(writer=bytes(15) + b"\1", run_id="r", attempt=attempt, rank=0)
    )


async def test_a_second_start_is_refused_with_who_holds_the_run(process: Process) -> None:
    process.clock += 7
    with pytest.raises(
        Refused, match="attempt 1 on node-7, process 4711 gave its last sign of life 7 s ago"
    ) as refusal:
        await process.create(**SECOND)
    assert refusal.value.code is grpc.StatusCode.ABORTED
    await process.finish()
    assert (await process.create(**SECOND)).attempt == 2


async def test_a_second_start_takes_over(process: Process) -> None:
    for number, chosen in enumerate(
        [{"on_live": runs_pb2.ON_LIVE_TAKE_OVER}, {"resume": runs_pb2.RESUME_AUTO}], 2
    ):
        reply = await process.create(**{**SECOND, "launch_id": f"l{number}", **chosen})
        assert reply.attempt == number
    assert await process.beat(("r", 1), ("r", 2), ("r", 3), ("x", 1)) == [
        ("r", 1),
        ("r", 2),
        ("x", 1),
    ]


async def test_a_second_start_becomes_a_run_of_its_own(process: Process) -> None:
    aside = {**SECOND, "on_live": runs_pb2.ON_LIVE_NEW_RUN, "world_size": 3}
    replies = await asyncio.gather(*(process.create(rank=rank, **aside) for rank in range(3)))
    (own,) = {reply.run.run_id for reply in replies}
    assert own.startswith("r-")
    assert {reply.attempt for reply in replies} == {1}
    # Also when the first one has ended meanwhile, and for who comes back.
    await process.finish()
    assert (await process.create(rank=1, **aside)).run.run_id == own
    assert (await process.create(**{**aside, "launch_id": "l3"})).run.run_id == "r"


async def test_who_is_silent_has_crashed_and_lives_again_when_he_speaks(process: Process) -> None:
    for _ in range(10):
        await process.beat(("r", 1))
        await process.wait(50)
    assert await state(process) == "running"
    await process.wait(20)
    assert await state(process) == "crashed"
    (attempt,) = (await process.lineage()).attempts
    assert (attempt.state, attempt.HasField("ended_ms"), attempt.HasField("exit_code")) == (
        "crashed",
        True,
        False,
    )
    assert await process.beat(("r", 1)) == []
    assert await state(process) == "running"
    await process.wait(70)
    await hello(process)
    assert await state(process) == "running"
    await process.finish()
    assert await state(process) == "finished"
    await process.beat(("r", 1))
    await process.wait(200)
    assert await state(process) == "finished"


async def test_a_stream_without_heartbeats_is_a_sign_of_life(process: Process) -> None:
    await hello(process)
    for _ in range(20):
        process.clock += 10
        await process.service.attempts.look(lambda: [("r", 1)])
    assert await state(process) == "running"


async def test_a_restart_of_the_service_gives_time(process: Process) -> None:
    again = process.restarted()
    await again.service.attempts.begin()
    await again.wait(110)
    assert await state(again) == "running"
    with pytest.raises(Refused, match="is alive"):
        await again.create(**SECOND)
    await again.beat(("r", 1))
    await again.wait(50)
    assert await state(again) == "running"
    late = again.restarted()
    await late.service.attempts.begin()
    await late.wait(140)
    assert await state(late) == "crashed"


async def test_a_service_that_stood_still_gives_time(process: Process) -> None:
    await process.beat(("r", 1))
    process.clock += 3_600
    await process.service.attempts.look()
    assert await state(process) == "running"
    await process.wait(70)
    assert await state(process) == "crashed"


async def test_who_vanished_has_crashed_at_once_unless_he_said_something(process: Process) -> None:
    await process.finish(vanished=True)
    assert await state(process) == "crashed"
    assert (await process.create(**SECOND)).attempt == 2
    await process.finish(exit_code=3, attempt=2)
    await process.finish(vanished=True, attempt=2)
    assert await state(process) == "failed"
    # A last word that was still under way.
    await process.finish()
    first, second = (await process.lineage()).attempts
    assert (first.state, second.state, second.exit_code) == ("finished", "failed", 3)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"exit_code": 143}, "preempted"),
        ({"vanished": True}, "preempted"),
        ({}, "preempted"),
        (None, "preempted"),
    ],
)
async def test_a_run_whose_machine_was_wanted_back(
    process: Process, end: dict[str, Any] | None, expected: str
) -> None:
    await process.update(preempting=True, attempt=1)
    assert await state(process) == "running"
    if end is None:
        await process.wait(70)
    else:
        await process.finish(**end)
    assert await state(process) == expected
    assert (await process.create(**SECOND)).attempt == 2
    assert await state(process) == "running"


async def test_the_exception_that_ended_a_run_is_kept(process: Process) -> None:
    await process.finish(
        exit_code=1, error_type="torch.cuda.OutOfMemoryError", error_message="x" * 9_000
    )
    run = await process.restarted().run()
    assert (run.state, run.exit_code, run.error_type) == (
        "failed",
        1,
        "torch.cuda.OutOfMemoryError",
    )
    assert len(run.error_message) < 5_000
    assert run.error_message.endswith(" ..")


async def test_clocks_that_are_a_year_off_change_nothing(process: Process) -> None:
    year = 365 * 86_400_000
    await process.create(**SECOND, run_id="other", created_ms=4 * 10**12)
    # Nothing has begun later than now, so its duration is right as well.
    assert (await process.run("other")).created_ms <= time.time_ns() // 10**6
    before = (await process.run()).updated_ms
    await process.finish(finished_ms=before + year)
    run = await process.run()
    assert run.state == "finished"
    assert run.updated_ms < before + year
    assert (await process.run("other")).state == "running"


async def test_of_fifty_starts_at_once_one_holds_the_run() -> None:
    process = Process(MemoryRunTables())
    starts = [
        process.create(launch_id=f"l{n}", resume=ALLOW, host=f"h{n}", pid=n) for n in range(50)
    ]
    results = await asyncio.gather(*starts, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refused)]
    assert len(refused) == 49
    assert {error.code for error in refused} == {grpc.StatusCode.ABORTED}


@pytest.mark.parametrize(
    ("ends", "lost", "ran_ms"),
    [
        ({1: End(finished_ms=3_600_000)}, True, 36_060_000),
        ({}, True, 36_060_000),
        ({1: End(finished_ms=3_600_000, exit_code=1)}, True, 3_600_000),
        ({0: End(finished_ms=1), 1: End(finished_ms=3_600_000)}, False, 3_600_000),
    ],
)
def test_an_attempt_ran_until_its_last_rank_was_heard_of(
    ends: dict[int, End], lost: bool, ran_ms: int
) -> None:
    attempt = Attempt(
        number=1, launch_id="l", world_size=2, created_ms=0, ended_ms=36_060_000, ends=ends
    )
    attempt.lost = lost
    assert attempt.ran_ms == ran_ms
