"""The SQL of runs on a real engine: what is put there is read back, and the newest version
counts."""

from __future__ import annotations

import os

from stepline import _core
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, End, RunRecord
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs_contract import FinishRow, WriterRow
from stepline_ingest.store import Store
from stepline_ingest.writers import Binding


def attempt(number: int, world_size: int = 2) -> Attempt:
    return Attempt(
        number=number, launch_id=f"l{number}", world_size=world_size, created_ms=1_000 + number
    )


def record(run_id: str, **fields: object) -> RunRecord:
    run = RunRecord(
        run_id=run_id,
        project="p",
        name="näme 'quoted'",
        config={"lr": 0.1, "nested": {"a": [1, None, "\t\n\\"]}},
        summary={"nan": float("inf")},
        tags=["a", "b'c"],
        group="g",
        job_type="train",
        notes="line\nline",
        created_ms=1_700_000_000_123,
        updated_ms=1_700_000_000_456,
        attempts=[attempt(1)],
        descent=Descent.of_attempts(_core.siphash64(run_id), [1]),
        version=1,
    )
    for name, value in fields.items():
        setattr(run, name, value)
    return run


def place(run_id: str, rank: int) -> Binding:
    return Binding(
        writer=os.urandom(16), run_id=run_id, run=_core.siphash64(run_id), attempt=1, rank=rank
    )


def test_a_rank_that_began_later_on_another_host(store: Store) -> None:
    tables = SqlRunTables(store)
    first, second, child, other = [place("r", 0), place("r", 0), place("r", 0), place("r", 1)]
    told = [(first, "a", 1), (second, "b", 2), (child, "b", 3), (other, "c", 4)]
    tables.put_writers(
        [WriterRow(binding=one, host=host, pid=7, created_ms=ms) for one, host, ms in told]
    )
    assert [tables.begun_elsewhere(one) for one, *_ in told] == [True, False, False, False]
    assert not tables.begun_elsewhere(place("r", 0)), "not known at all"


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    tables = SqlRunTables(store)
    assert tables.load(["r"]) == []
    run = record("r")
    tables.put_attempts([("r", run.newest)])
    assert tables.load(["r"]) == [], "an attempt alone is no run"
    tables.put_runs([run])
    (found,) = tables.load(["r"])
    assert found == run
    assert (found.stored_outcome, found.version) == (("running", None), 1)
    changed = record("r", notes="other", version=2)
    tables.put_runs([changed])
    tables.put_runs([record("r", notes="late", version=1)])
    assert tables.load(["r"]) == [changed]


def test_attempts_and_finishes(store: Store) -> None:
    tables = SqlRunTables(store)
    tables.put_runs([record("r")])
    for one in (attempt(2), attempt(1), attempt(1, world_size=3)):
        tables.put_attempts([("r", one)])
    tables.put_finishes(
        [
            FinishRow(binding=place("r", rank), end=End(exit_code=rank), finished_ms=5)
            for rank in range(2)
        ]
    )
    last = End(exit_code=-7, error_type="ValueError", error_message="no 'such' lr", preempted=True)
    tables.put_finishes([FinishRow(binding=place("r", 1), end=last, finished_ms=4)])
    (found,) = tables.load(["r"])
    assert [one.number for one in found.attempts] == [1, 2]
    assert found.attempts[0].world_size == 3
    assert found.attempts[0].ends == {0: End(exit_code=0), 1: last}
    assert found.attempts[1].ends == {}


def test_texts_are_those_that_are_stored_as_far_as_the_bytes_go(store: Store) -> None:
    tables = SqlRunTables(store)
    assert tables.texts(["none"], 1_000) == {}
    for n in range(4):
        tables.put_runs([record(f"r{n}", config={"x": "y" * 992}, summary={})])
    text = (f'{{"x":"{"y" * 992}"}}', "{}")
    assert len(text[0] + text[1]) == 1_002
    order = ["r2", "none", "r0", "r3", "r1"]
    for most, count in ((0, 1), (1_002, 1), (2_003, 1), (2_004, 2), (10_000, 4)):
        found = tables.texts(order, most)
        assert list(found.items()) == [(r, text) for r in ("r2", "r0", "r3", "r1")[:count]]
    tables.put_runs([record("r0", config={"x": "\ud800"}, summary={}, version=2)])
    assert tables.texts(["r0"], 0) == {"r0": ('{"x":"\ufffd"}', "{}")}


def test_pages(store: Store) -> None:
    tables = SqlRunTables(store)
    for n in range(5):
        run = record(f"r{n}", project="ab"[n % 2], created_ms=1_000 + n)
        tables.put_attempts([(run.run_id, run.newest)])
        tables.put_runs([run])
    assert tables.page("", 2, 1) == (["r3", "r2"], 5)
    assert tables.page("b", 10, 0) == (["r3", "r1"], 2)
    assert tables.page("it's", 10, 0) == ([], 0)
    assert {run.run_id for run in tables.load(["r1", "r4", "none"])} == {"r1", "r4"}


def test_projects_of_runs_that_are_there_and_of_deleted_ones(store: Store) -> None:
    tables = SqlRunTables(store)
    assert (tables.projects([]), tables.projects(["r"]), tables.deleted()) == ({}, {}, {})
    runs = [record("r", project="a"), record("s", project="b"), record("r", project="a", version=2)]
    for run in runs:
        tables.put_runs([run])
    many = [f"none{n}" for n in range(10_000)]
    assert tables.projects([*many, "s", "r"]) == {"r": "a", "s": "b"}
    for deleted_ms in (1, 2):
        tables.put_deletion(runs[1], deleted_ms)
    assert tables.deleted() == {"s": "b"}


def test_writers(store: Store) -> None:
    tables = SqlRunTables(store)
    places = [place("r", rank) for rank in range(3)]
    tables.put_writers(
        [WriterRow(binding=one, host="h", pid=7, created_ms=5) for one in places[:2]]
    )
    found = tables.find_writers([one.writer for one in places])
    assert sorted(found, key=lambda one: one.rank) == places[:2]
