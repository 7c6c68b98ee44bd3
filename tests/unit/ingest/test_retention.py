"""Promise: a month of points is replaced by its rollups as a whole or not at all, whenever the
process dies; what is kept of it is what its points said, and nothing is ever stored again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from stepline_ingest.doctor import Kind, audit, expired
from stepline_ingest.doctor.digests import Span, read_digests
from stepline_ingest.doctor.expired import read_expired
from stepline_ingest.lineage import Descent
from stepline_ingest.points_repository import PointsRepository
from stepline_ingest.query.export import Cursor, ExportQuery, read_export
from stepline_ingest.query.history import HistoryQuery, read_history
from stepline_ingest.query.request import Range
from stepline_ingest.retention import Keeper, expire, parse_age, recover
from stepline_ingest.retention import fill as fills
from stepline_ingest.retention.cells import Stopped
from stepline_ingest.retention.months import month_end
from stepline_ingest.schema.purge import purge
from stepline_ingest.store import Store, StoreError
from tests.support.audited import METRICS
from tests.support.old_points import JANUARY, Old, states
from tests.support.processes import wait_until

ALL = Range(None, None)
LONG = "STEPLINE_RETENTION_CASES" in os.environ


def mark(store: Store, sample: Old) -> int:
    async def ask() -> int:
        with ThreadPoolExecutor(1) as pool:
            return await PointsRepository(store, pool).mark(sample.place)

    return asyncio.run(ask())


def test_a_month_goes_as_a_whole_and_everything_agrees(store: Store) -> None:
    sample = Old()
    sample.build(store)
    assert expire(store, 202601) == 200
    assert states(store)[:2] == [(202601, "expired"), (202602, "stored")]
    assert store.query("SELECT count() FROM raw_points") == [(300,)]
    report = audit(store)
    assert report.findings == []
    assert (report.points, report.expired) == (300, 200)
    assert mark(store, sample) == 200
    assert expire(store, 202602) == 200
    assert mark(store, sample) == 200  # nothing of the writer is stored any more
    assert audit(store).clean
    said = store.query("SELECT metric, rank, month, count, first_step, last_step FROM expired")
    assert sorted(said)[0] == ("lr", 0, 202601, 100, 10, 1_000)
    counted = "SELECT sum(count), min(first_step), max(last_step) FROM series WHERE rank = 0"
    assert store.query(counted) == [(400, 10, 2_000)]


class Died(BaseException):
    """A process that is gone: nothing behind it runs."""


@contextmanager
def dying(store: Store, begins: str, *, after: bool) -> Iterator[None]:
    """The statement that BEGINS so is the last one of its process, and is done if AFTER."""
    command = store.command
    dead = False

    def dies(sql: str, settings: object = None, **more: object) -> None:
        nonlocal dead
        if dead or (sql.startswith(begins) and not after):
            dead = True
            raise Died
        command(sql, settings, **more)  # type: ignore[arg-type]
        if sql.startswith(begins):
            dead = True
            raise Died

    store.command = dies  # type: ignore[method-assign]
    try:
        with pytest.raises(Died):
            yield
    finally:
        store.command = command  # type: ignore[method-assign]


STEPS = {
    "the first state": "INSERT INTO raw_expiry SELECT 1, 202601, 'filling'",
    "the cells of points": "INSERT INTO raw_cells",
    "the marks": "INSERT INTO raw_marks",
    "the decision": "INSERT INTO raw_expiry SELECT 1, 202601, 'filled'",
    "the end of the points": "ALTER TABLE raw_points DROP PARTITION",
    "the last state": "INSERT INTO raw_expiry SELECT fill, month, 'dropped'",
}


# Behind one step is nearly before the next: both sides only of the one that decides, and of all in
# a long run.
DEATHS = [
    pytest.param(step, after, id=f"{step}-{'behind' if after else 'before'}")
    for step in STEPS
    for after in (False, True)
    if not after or step in ("the decision", "the last state") or LONG
]


@pytest.mark.parametrize(("step", "after"), DEATHS)
def test_death_at_each_step_leaves_one_of_two_states(
    embedded: Store, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    sample = Old()
    sample.build(embedded)
    monkeypatch.setattr(fills, "_give_up", lambda *_: None)  # what runs behind a death
    with dying(embedded, STEPS[step], after=after):
        expire(embedded, 202601)
    assert audit(embedded).clean, "also before anybody opens it again"
    recover(embedded)
    decided = list(STEPS).index(step) > 3 or (step == "the decision" and after)
    assert states(embedded)[0] == (202601, "expired" if decided else "stored")
    assert mark(embedded, sample) == 200
    left = embedded.query("SELECT uniqExact(fill) FROM raw_cells")
    assert left == [(1 if decided else 0,)]
    if not decided:
        assert expire(embedded, 202601) == 200
    assert audit(embedded).clean
    assert embedded.query("SELECT sum(count) FROM series") == [(500,)]


def test_points_that_come_while_a_month_is_copied_stay(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    late = [replace(p, received=JANUARY) for p in sample.points(range(201, 204))]
    calls = iter([lambda: None, lambda: sample.insert(embedded, late, "late")])
    assert expire(embedded, 202601, between=lambda: next(calls)()) is None
    assert states(embedded)[0] == (202601, "stored")
    assert embedded.query("SELECT count() FROM raw_cells") == [(0,)]
    assert expire(embedded, 202601) == 206
    assert audit(embedded).clean


def test_points_of_a_month_that_has_expired_are_added_to_it(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202601)
    late = [replace(p, received=JANUARY) for p in sample.points(range(201, 204))]
    sample.insert(embedded, late, "late")
    assert states(embedded)[:2] == [(202601, "expired"), (202601, "stored")]
    assert expire(embedded, 202601) == 6
    assert audit(embedded).clean
    assert embedded.query("SELECT sum(count) FROM series WHERE rank = 0") == [(406,)]


def test_what_expired_and_is_stored_again_is_found(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202601)
    sample.insert(embedded, sample.points(range(50, 60)), "again")
    found = audit(embedded).findings
    assert [finding.kind for finding in found] == [Kind.DOUBLE]
    assert "10 sequences" in found[0].message


def test_kept_rows_that_are_lost_are_found(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202601)
    embedded.command("ALTER TABLE raw_cells DELETE WHERE width = 2048", {"mutations_sync": 1})
    embedded.command("ALTER TABLE raw_marks DELETE WHERE 1", {"mutations_sync": 1})
    assert {finding.kind for finding in audit(embedded).findings} == {Kind.KEPT, Kind.HOLE}


def test_digests_say_what_has_expired(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202602)
    reply = read_digests(embedded, sample.place, Span(1, 200, 200, False), {})
    assert [(one.first_seq, one.last_seq) for one in reply.expired] == [(101, 200)]
    assert reply.committed_seq == 200
    assert [digest.sequences for digest in reply.digests] == [100]
    widest = read_digests(embedded, sample.place, Span(1, 200, 2**64 - 1, False), {})
    assert list(widest.digests) == list(reply.digests)


def test_expired_sequences_are_found_however_far_apart(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expired, "_BLOCK", 3)
    sample = Old()
    far = [2**40, 2**40 + 1, 2**50]
    points = sample.points([1, 2, 3, 4, 5, 7, *far], metrics=["lr"])
    sample.insert(embedded, [replace(p, received=JANUARY) for p in points], "far")
    expire(embedded, 202601)
    found = read_expired(embedded, "run = {run:UInt64}", {"run": sample.run}, {})
    assert found == [(1, 5), (7, 7), (2**40, 2**40 + 1), (2**50, 2**50)]


def test_history_and_export_tell_of_the_gap(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202601)
    descent = Descent.of_attempts(sample.run, [1])
    query = HistoryQuery(sample.run_id, METRICS[0], 0, ALL)
    first, *rest = read_history(embedded, query, descent, {})
    (gap,) = first.expired
    assert (gap.points, gap.first_step, gap.last_step) == (100, 10, 1_000)
    assert sum(chunk.rows for chunk in rest) == 100
    behind = replace(query, steps=Range(1_001, None))
    assert not any(chunk.expired for chunk in read_history(embedded, behind, descent, {}))
    inside = replace(query, steps=Range(15, 17))
    (only,) = read_history(embedded, inside, descent, {})
    assert (only.rows, len(only.expired)) == (0, 1)
    chunks = list(read_export(embedded, _export(sample), descent, {}))
    assert sorted(gap.metric for gap in chunks[0].expired) == sorted(METRICS)
    assert sum(part.rows for chunk in chunks for part in chunk.slices) == 300
    go_on = _export(sample, Cursor.unpack(chunks[-1].cursor))
    assert not any(chunk.slices for chunk in read_export(embedded, go_on, descent, {}))


def test_an_export_tells_of_what_goes_while_it_is_read(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    descent = Descent.of_attempts(sample.run, [1])
    chunks = read_export(embedded, _export(sample), descent, {})
    next(chunks)
    expire(embedded, 202601)
    assert [len(chunk.expired) for chunk in chunks][-1] == 2


def _export(sample: Old, after: Cursor | None = None) -> ExportQuery:
    return ExportQuery(sample.run_id, (), (), ALL, all_attempts=False, after=after)


def test_a_deleted_run_leaves_nothing_that_was_kept(embedded: Store) -> None:
    gone, stays = Old("gone"), Old("stays")
    for sample in (gone, stays):
        sample.build(embedded)
        sample.insert(embedded, [replace(p, received=JANUARY) for p in sample.points([1])], "x")
    expire(embedded, 202601)
    columns = ("run", "run_id", "project", "deleted")
    embedded.insert_rows("raw_deletions", columns, [(gone.run, "gone", "p", 1)])
    wait_until(lambda: purge(embedded), what="the rows are removed")
    for table in ("raw_cells", "raw_marks"):
        assert embedded.query(f"SELECT DISTINCT run FROM {table}") == [(stays.run,)]


@pytest.mark.parametrize(
    ("text", "days"), [("1d", 1), ("90d", 90), ("26w", 182), ("2y", 730), ("001d", 1)]
)
def test_ages(text: str, days: int) -> None:
    assert parse_age(text) == days * 86_400


@pytest.mark.parametrize("text", ["", "90", "0d", "1h", "-3d", "d", "9999999d", "1.5y", "\u0663d"])
def test_no_ages(text: str) -> None:
    with pytest.raises(ValueError, match="d"):
        parse_age(text)


def test_a_month_ends_where_the_next_begins() -> None:
    assert month_end(202612) == 1_798_761_600  # 2027-01-01
    assert month_end(202601) == 1_769_904_000  # 2026-02-01


def test_only_months_that_are_old_enough_go(embedded: Store) -> None:
    Old().build(embedded)
    clock = [month_end(202601) + 30 * 86_400 - 1]
    keeper = Keeper(embedded, 30 * 86_400, interval=1e6, delay=1e6, now=lambda: clock[0])
    try:
        assert keeper.look() == 0
        clock[0] += 2
        assert keeper.look() == 200
        assert keeper.look() == 0
    finally:
        keeper.stop()
    clock[0] += 365 * 86_400
    assert keeper.look() == 0  # the clock was set
    with pytest.raises(Stopped):
        keeper.look()
    assert states(embedded)[1] == (202602, "stored")


def test_the_thread_waits_after_the_clock_was_set(embedded: Store) -> None:
    Old().build(embedded)
    clock = [0.0]
    keeper = Keeper(embedded, 86_400, interval=0.01, delay=1e6, now=lambda: clock[0])
    clock[0] = 4e9
    looked: Callable[[], bool] = lambda: abs(keeper._offset) > 1e9  # noqa: E731
    wait_until(looked, what="the jump was seen")
    keeper.stop()
    assert {state for _, state in states(embedded)} == {"stored"}


def test_readers_wait_and_read_again(embedded: Store) -> None:
    Old().build(embedded)
    seen = []

    def read(found: object) -> int:
        seen.append(found)
        if len(seen) == 1:
            expire(embedded, 202601)
        return len(seen)

    assert embedded.expired.settled(read) == 2
    assert [fills.numbers for fills in seen] == [(), (1,)]


def test_a_store_that_fails_while_points_go_is_asked_again(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Old().build(embedded)
    monkeypatch.setattr(fills, "_RETRY", 0.0)
    command, failures = embedded.command, [True, True]

    def fails(sql: str, settings: object = None, **more: object) -> None:
        if "DROP PARTITION ID" in sql and failures and failures.pop():
            raise StoreError("no")
        command(sql, settings, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(embedded, "command", fails)
    assert expire(embedded, 202601) == 200
    assert audit(embedded).clean
