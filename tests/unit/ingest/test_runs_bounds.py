"""Promise: a request about runs costs no more than the limits of the service say, whatever it
names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest

from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, End
from stepline_ingest.run_weight import weight_of_run
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.unknown_runs import UnknownRuns
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import LIMITS, Context, Process, Refused
from tests.support.run_records import run_record


@pytest.fixture
async def process() -> Process:
    """With a run `r` that has begun."""
    made = Process(MemoryRunTables())
    await made.create(tags=["a", "b", "c"])
    return made


ELEVEN = [str(n) for n in range(11)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tags": runs_pb2.TagList(tags=ELEVEN)}, "tags has 11 tags, 10 are allowed"),
        ({"add_tags": ["a"] * 11}, "add_tags has 11 tags, 10 are allowed"),
        ({"remove_tags": ELEVEN}, "remove_tags has 11 tags, 10 are allowed"),
    ],
)
async def test_lists_of_tags_are_short(process: Process, fields: dict[str, Any], said: str) -> None:
    writes = list(process.tables.writes)
    with pytest.raises(Refused, match=said) as refusal:
        await process.update(**fields)
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert process.tables.writes == writes


async def test_tags_are_added_and_taken_away(process: Process) -> None:
    await process.update(add_tags=["d", "a"], remove_tags=["b", "x"])
    assert list((await process.run()).tags) == ["a", "c", "d"]


async def test_tags_do_not_grow_with_every_start(process: Process) -> None:
    more = {"resume": runs_pb2.RESUME_ALLOW, "on_live": runs_pb2.ON_LIVE_TAKE_OVER}
    await process.create(launch_id="l2", tags=ELEVEN[:7], **more)
    with pytest.raises(Refused, match="12 tags"):
        await process.create(launch_id="l3", tags=["y", "z"], **more)
    assert len((await process.run()).tags) == 10


async def test_unknown_runs_of_a_heartbeat_are_looked_up_together(process: Process) -> None:
    again = process.restarted()
    odd = ["", "a/b", "x" * 65, "y" * 100_000]
    keys = [(f"unknown{n}", 1) for n in range(5_000)] + [(name, 1) for name in odd]
    process.tables.reads.clear()
    assert set(await again.beat(*keys, ("r", 1))) == set(keys)
    assert len(process.tables.reads) < 20


async def test_runs_of_others_in_a_heartbeat_are_not_read(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [(f"r{n}", 1) for n in range(150)]
    for run_id, _ in keys:
        await process.create(run_id=run_id, launch_id=run_id)
    again = process.restarted()
    process.tables.reads.clear()
    monkeypatch.setattr("stepline_ingest.access.project", lambda: "q")
    assert await again.beat(*keys) == keys
    await again.repository.preload([run_id for run_id, _ in keys])
    assert "load" not in process.tables.reads


async def test_a_heartbeat_for_many_runs_reads_them_together(process: Process) -> None:
    keys = [(f"r{n}", 1) for n in range(250)]
    for run_id, _ in keys:
        await process.create(run_id=run_id, launch_id=run_id)
    again = process.restarted()
    process.tables.reads.clear()
    assert await again.beat(*keys) == []
    assert len(process.tables.reads) < 15


async def test_others_get_their_turn_beside_many_signs_of_life(process: Process) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    await process.beat(("r", 1))
    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    begun = turns
    assert await process.beat(*[("r", 1)] * 10_000) == []
    assert turns - begun >= 9
    beside.cancel()


async def test_the_ranks_of_a_heartbeat_lie_below_the_limit(process: Process) -> None:
    with pytest.raises(Refused, match="lie below"):
        await process.beat(*[("r", 1)] * 2_000, ranks=[0, 1 << 20])


async def test_who_reads_many_runs_holds_none_of_the_others(process: Process) -> None:
    for run_id in ("x", "y"):
        await process.create(run_id=run_id, launch_id=run_id)
    repository = process.restarted().repository
    other = repository.lock("y")
    async with repository.lock("x"):
        loading = asyncio.create_task(repository.preload(["x", "y"]))
        while not other.locked():
            await asyncio.sleep(0)
        await asyncio.wait_for(other.acquire(), 30)
        assert not loading.done()
        other.release()
    await loading


# --- runs that are at hand ---


def test_a_run_weighs_what_it_has_much_of() -> None:
    def attempt(number: int, *ends: End, **texts: str) -> Attempt:
        said = {"launch_id": "l", **texts}
        ended = dict(enumerate(ends))
        return Attempt(number=number, world_size=1, created_ms=1, ends=ended, **said)  # type: ignore[arg-type]

    plain = run_record("r", [attempt(1)])
    ends = [End(error_message="x" * 4_000)] * 100
    much = {
        "notes": (replace(plain, notes="\xe9" * 100_000), 100_000),
        "wide notes": (replace(plain, notes="x" * 100_000 + "\U0001f600"), 400_000),
        "tags": (replace(plain, tags=["t" * 1_000] * 1_000), 1_000_000),
        "values": (replace(plain, config={"x": [n / 7 for n in range(100_000)]}), 3_200_000),
        "keys": (replace(plain, summary={str(n): n for n in range(10_000)}), 1_000_000),
        "lists": (replace(plain, config={"x": [{"a": [1]} for _ in range(1_000)]}), 200_000),
        "ends": (run_record("r", [attempt(1, *[End()] * 1_000)]), 200_000),
        "errors": (run_record("r", [attempt(1, *ends)]), 400_000),
        "attempts": (run_record("r", [attempt(n, host="h" * 900) for n in range(100)]), 110_000),
        "layers": (replace(plain, descent=Descent.of_attempts(1, range(1_000))), 99_000),
    }
    own = weight_of_run(plain)
    assert own < 3_000
    for what, (run, least) in much.items():
        assert least <= weight_of_run(run) - own <= 2 * least, what


def _weights(repository: RunsRepository) -> int:
    return sum(weight_of_run(run) for run in repository._cache.values())


async def test_notes_and_tags_of_runs_at_hand_are_bounded() -> None:
    limits = replace(LIMITS, max_cached_bytes=500_000)
    process = Process(MemoryRunTables(), limits)
    for n in range(20):
        await process.create(run_id=f"r{n}", launch_id=str(n))
        text = str(n % 10)
        await process.update(run_id=f"r{n}", notes=text * 100_000, add_tags=[text * 1_000])
        assert _weights(process.repository) <= limits.max_cached_bytes
    again = process.restarted()
    for n in range(20):
        assert (await again.run(f"r{n}")).notes == str(n % 10) * 100_000
        assert _weights(again.repository) <= LIMITS.max_cached_bytes
    assert len(process.repository._cache) == 4


async def test_ends_of_ranks_make_others_leave() -> None:
    limits = replace(LIMITS, max_cached_bytes=500_000)
    process = Process(MemoryRunTables(), limits)
    for run_id in ("other", "r"):
        await process.create(run_id=run_id, launch_id=run_id, world_size=300)
    for rank in range(200):
        await process.finish(rank, exit_code=1, error_message="x" * 4_000)
    assert list(process.repository._cache) == ["r"]
    assert (await process.run("other")).state == "running"


async def test_what_is_at_hand_is_counted_whatever_becomes_of_it(process: Process) -> None:
    repository = process.repository

    def check() -> None:
        assert repository._cached_bytes == _weights(repository)

    more = {"resume": runs_pb2.RESUME_ALLOW, "on_live": runs_pb2.ON_LIVE_TAKE_OVER}
    process.log("r", 1, 0, 9)
    await process.create(run_id="r2", launch_id="r2", world_size=2)
    await process.update(config_json='{"a": {"b": [1, 2]}}', summary_json='{"c": "d"}')
    check()
    for rank, message in ((0, "x" * 100), (1, ""), (0, "y" * 50)):
        await process.finish(rank, 1, run_id="r2", error_message=message)
        check()
    await process.create(run_id="r2", launch_id="r2", world_size=2, rank=0)
    check()
    await process.create(launch_id="l2", host="h" * 100, **more)
    await process.bring_back(1, 5)
    check()
    await process.service.DeleteRun(runs_pb2.DeleteRunRequest(run_id="r"), Context())
    check()
    await process.restarted().run("r2")


# --- runs that are not there ---


@pytest.mark.parametrize("run_id", ["", "a/b", "x" * 65, "ab" * 1_000_000])
async def test_what_is_no_id_is_neither_looked_up_nor_compared(
    process: Process, run_id: str
) -> None:
    process.tables.reads.clear()
    async with process.repository.lock(run_id):
        assert await process.repository.get(run_id) is None
        with pytest.raises(Exception, match="run id") as refusal:
            await process.repository.require(run_id)
    assert len(str(refusal.value)) < 300
    await process.repository.preload([run_id, run_id + "/"])
    assert process.tables.reads == []


async def test_who_asks_for_unknown_runs_without_end_costs_little(process: Process) -> None:
    process.tables.reads.clear()
    for n in range(100):
        with pytest.raises(Refused, match="not known here"):
            await process.run(f"unknown{n}")
    assert process.tables.reads.count("recent") == 1


class Now:
    """A clock, and threads that are this one."""

    def __init__(self, ids: Sequence[str], limits: Limits) -> None:
        self.now = 0.0
        self.ids = list(ids)
        self.work = 0
        self.unknown = UnknownRuns(
            lambda project, limit: self.ids[:limit],
            self._blocking,
            limits,
            deleted={"gone-1"},
            clock=lambda: self.now,
        )

    async def _blocking(self, call: Callable[[], list[str]]) -> list[str]:
        self.work += 1
        return call()

    async def said(self, run_id: str) -> str:
        return (await self.unknown.error(run_id, remedy="check the id")).message


async def test_similar_ids_are_named_of_the_newest_runs_for_some_of_the_wrong_ones() -> None:
    limits = replace(LIMITS, max_hinted_runs=2, max_hints=3, hint_seconds=10.0)
    asked = Now(["gone-1", "lr-sweep-7", "too-old-1"], limits)
    assert await asked.said("lr-sweep-8") == (
        "run lr-sweep-8 is not known here (there is lr-sweep-7): check the id"
    )
    assert "there is" not in await asked.said("gone-2")
    assert "there is" not in await asked.said("too-old-2")
    work = asked.work
    assert "lr-sweep-7" in await asked.said("lr-sweep-8"), "remembered"
    for n in range(100):
        assert "there is" not in await asked.said(f"lr-sweep-{n}x")
    assert asked.work == work, "nothing was read or compared"
    asked.now = 10.0
    assert "lr-sweep-7" in await asked.said("lr-sweep-9")


async def test_a_wrong_id_is_answered_with_the_nearest(process: Process) -> None:
    await process.create(run_id="lr-sweep-7", launch_id="x")
    request = runs_pb2.GetLineageRequest(run_id="lr-sweep-8")
    with pytest.raises(Refused, match=r"\(there is lr-sweep-7\)"):
        await process.service.GetLineage(request, Context())
