"""Promise: ranks of one start share an attempt in any order; a job that its launcher starts anew
under the same launch id is the next attempt, so that nothing is mixed; a single rank that comes
back goes on beside the others; and who is silent or ended badly is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stepline_ingest.run_record import RunRecord
from stepline_ingest.signs import Signs
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import LIMITS, Process, Refused

_WRITERS = itertools.count(1)


class Job:
    """A start of a job of three ranks, which its launcher always calls by the same launch id."""

    def __init__(self, process: Process, **fields: Any) -> None:
        self.process = process
        self.fields = {"launch_id": "job", "world_size": 3, **fields}
        self.writers = {rank: next(_WRITERS).to_bytes(16, "big") for rank in range(3)}

    async def begin(self, *ranks: int) -> list[int]:
        """The attempts that they get."""
        return [
            (await self.process.create(rank=rank, writer=self.writers[rank], **self.fields)).attempt
            for rank in ranks
        ]

    async def end(self, attempt: int, *ranks: int, **how: Any) -> None:
        for rank in ranks:
            await self.process.finish(rank, attempt=attempt, writer=self.writers[rank], **how)


@pytest.fixture
def process() -> Process:
    return Process(MemoryRunTables())


@pytest.mark.parametrize("how", [{}, {"exit_code": 1}, {"vanished": True}])
async def test_a_job_that_comes_back_after_its_end_is_the_next_attempt(
    process: Process, how: dict[str, Any]
) -> None:
    first, second, third = Job(process), Job(process), Job(process)
    assert await first.begin(0, 1, 2) == [1, 1, 1]
    await first.end(1, 0, 1, 2, **how)
    before = (await process.run()).state
    assert await second.begin(1, 0) == [2, 2]
    # What the uploader of the first start repeats, and a rank that comes late, change nothing.
    assert await first.begin(0, 2) == [1, 1]
    assert await second.begin(2) == [2]
    states = [attempt.state for attempt in (await process.lineage()).attempts]
    assert states == [before, "running"]
    await second.end(2, 0, 1, 2)
    # Also when the service does not remember, and the scheduler wants a run that is there.
    third.process = process.restarted()
    third.fields["resume"] = "RESUME_MUST"
    assert await third.begin(0, 1, 2) == [3, 3, 3]


async def test_who_comes_late_belongs_to_the_start_though_it_has_failed(process: Process) -> None:
    job = Job(process)
    await job.begin(0, 1)
    await job.end(1, 0, exit_code=1)
    await job.end(1, 1, vanished=True)
    await process.wait(100)
    assert await job.begin(2) == [1]
    await job.end(1, 2)
    assert [a.state for a in (await process.lineage()).attempts] == ["failed"]


async def test_a_rank_that_comes_back_goes_on_beside_the_others(process: Process) -> None:
    job, again = Job(process), Job(process)
    await job.begin(0, 1, 2)
    await job.end(1, 1, vanished=True)
    for _ in range(20):
        await process.beat(("r", 1), ranks=[0, 2])
        await process.wait(50)
    assert (await process.run()).state == "crashed"
    assert await again.begin(1) == [1]
    assert (await process.run()).state == "running"
    await process.beat(("r", 1), ranks=[0, 1, 2])
    (attempt,) = (await process.lineage()).attempts
    assert (attempt.living, list(attempt.troubled)) == (3, [])


async def test_a_host_that_is_gone_without_a_word_leaves_the_next_attempt_to_the_job(
    process: Process,
) -> None:
    job, again = Job(process), Job(process)
    await job.begin(0, 1)
    await process.beat(("r", 1), ranks=[0, 1])
    # As long as it may live, nobody knows better.
    assert await Job(process).begin(0) == [1]
    await process.wait(80)
    assert (await process.run()).state == "crashed"
    assert await again.begin(1, 0, 2) == [2, 2, 2]
    # The old host is back, and sends what it has: it stays what it was.
    assert await job.begin(0) == [1]


async def test_a_further_process_of_a_rank_begins_nothing(process: Process) -> None:
    job = Job(process)
    await job.begin(0, 1, 2)
    await job.end(1, 0, 1, 2)
    assert await Job(process, child=True).begin(0) == [1]
    assert (await process.run()).state == "finished"


async def test_silent_ranks_are_named_while_others_live(process: Process) -> None:
    job = Job(process, world_size=4)
    await job.begin(0, 1, 2)
    await process.beat(("r", 1), ranks=[0, 1, 2])
    await process.wait(50)
    await process.beat(("r", 1), ranks=[0, 1])
    assert not (await process.lineage()).attempts[0].troubled, "rank 3 may be on its way"
    for _ in range(2):
        await process.wait(40)
        await process.beat(("r", 1), ranks=[0])
    await job.end(1, 1, exit_code=7, error_type="ValueError")
    (attempt,) = (await process.lineage()).attempts
    assert (attempt.living, attempt.troubled_ranks) == (1, 3)
    named = [(rank.rank, rank.state, rank.HasField("seen_ms")) for rank in attempt.troubled]
    assert named == [(1, "failed", False), (2, "silent", True), (3, "silent", False)]
    assert attempt.troubled[0].error_type == "ValueError"
    # When nobody lives any more it is the attempt that has crashed.
    await process.wait(100)
    (attempt,) = (await process.lineage()).attempts
    assert [rank.rank for rank in attempt.troubled] == [1]


async def test_hosts_that_do_not_say_which_ranks_live_raise_no_alarm(process: Process) -> None:
    await Job(process).begin(0, 1, 2)
    for _ in range(5):
        await process.beat(("r", 1))
        await process.wait(50)
    (attempt,) = (await process.lineage()).attempts
    assert (attempt.state, attempt.HasField("living"), len(attempt.troubled)) == (
        "running",
        False,
        0,
    )


async def test_what_is_left_of_a_rank_that_has_ended_keeps_nobody_waiting(process: Process) -> None:
    first, second = (Job(process, world_size=1) for _ in range(2))
    await first.begin(0)
    await first.end(1, 0, vanished=True)
    # Its uploader sends what it has, and the service remembers no more than its tables.
    second.process = again = process.restarted()
    await again.beat(("r", 1), ranks=[0])
    (attempt,) = (await again.lineage()).attempts
    assert (attempt.state, attempt.living) == ("crashed", 0)
    assert await second.begin(0) == [2]


async def test_an_older_process_of_a_rank_ends_nothing(process: Process) -> None:
    older, newer = Job(process, world_size=1), Job(process, world_size=1)
    assert await older.begin(0) == [1]
    # The launcher is faster than the uploader that tells of the end.
    assert await newer.begin(0) == [1]
    await older.end(1, 0, vanished=True)
    assert (await process.run()).state == "running"
    # Nor when that uploader repeats itself.
    assert await older.begin(0) == [1]
    await older.end(1, 0, vanished=True)
    assert (await process.run()).state == "running"
    await newer.end(1, 0, vanished=True)
    assert (await process.run()).state == "crashed"


async def test_it_ends_nothing_after_a_new_start_of_the_service(process: Process) -> None:
    older = Job(process, world_size=1, host="a", created_ms=1_000)
    newer = Job(process, world_size=1, host="b", created_ms=2_000)
    child = Job(process, world_size=1, host="b", created_ms=3_000, child=True)
    for job in (older, newer, child):
        assert await job.begin(0) == [1]
    older.process = newer.process = again = process.restarted()
    # The host of the older one was away; its uploader tells what it found.
    await older.end(1, 0, vanished=True)
    assert (await again.run()).state == "running"
    await newer.end(1, 0, vanished=True)
    assert (await again.run()).state == "crashed"


async def test_a_child_is_not_the_newest_process_of_its_rank(process: Process) -> None:
    job = Job(process, world_size=1)
    await job.begin(0)
    await Job(process, world_size=1, child=True).begin(0)
    await job.end(1, 0, vanished=True)
    assert (await process.run()).state == "crashed"


async def test_a_world_of_which_little_is_heard_is_counted_not_walked(process: Process) -> None:
    world = LIMITS.max_ranks
    job = Job(process, world_size=world)
    await job.begin(0, 1, 2)
    for _ in range(3):
        await process.beat(("r", 1), ranks=[0])
        await process.wait(50)
    await job.end(1, 2, exit_code=1)
    (attempt,) = (await process.lineage()).attempts
    assert (attempt.living, attempt.troubled_ranks) == (1, world - 1)
    assert [rank.rank for rank in attempt.troubled] == list(range(1, 101))
    assert [rank.state for rank in attempt.troubled[:3]] == ["silent", "failed", "silent"]


async def test_many_runs_are_read_together_after_a_new_start(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"r{number}" for number in range(20)]
    for name in names:
        await process.create(run_id=name)
    again = process.restarted()
    asked: list[int] = []
    load = again.tables.load

    def counted(run_ids: Sequence[str]) -> list[RunRecord]:
        asked.append(len(run_ids))
        return load(run_ids)

    monkeypatch.setattr(again.tables, "load", counted)
    await again.beat(*((name, 1) for name in names))
    assert asked == [20]


async def test_ranks_beyond_the_world_are_not_heard(process: Process) -> None:
    await Job(process).begin(0)
    for again in (process, process.restarted()):
        await again.beat(("r", 1), ranks=[0, 2, 3, 70_000])
        (attempt,) = (await again.lineage()).attempts
        assert attempt.living == 2


def test_ranks_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepline_ingest.signs.MOST_RANKS", 1_000)
    signs = Signs(60.0, lambda: 0.0)
    for number in range(50):
        for rank in range(100):
            signs.began(("r", number), rank, world_size=100, writer=bytes(16))
        signs.beat(("r", number), range(100))
        signs.ended(("r", number), 0)
    assert len(signs) == 10
    assert signs.living(("r", 49), ()) == 99
    signs.beat(("large", 1), range(5_000), world_size=5_000)
    assert (len(signs), signs.living(("large", 1), ())) == (1, 5_000)


async def test_a_heartbeat_names_ranks_within_bounds() -> None:
    process = Process(MemoryRunTables(), replace(LIMITS, max_ranks=4))
    await Job(process).begin(0)
    with pytest.raises(Refused, match="rank 4: ranks count from 0 and lie below 4"):
        await process.beat(("r", 1), ranks=[0, 4])
    with pytest.raises(Refused, match="6 ranks in the signs of life of one call, 4 are allowed"):
        await process.beat(("r", 1), ("r", 1), ranks=[0, 1, 2])
    assert not (await process.lineage()).attempts[0].HasField("living")
