"""Promise: a clock that jumps lets nothing go, a store that fails for a moment leaves nothing half
done, and who reads beside it reads what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from stepline._core import siphash64
from stepline_ingest.doctor import audit
from stepline_ingest.lineage import STEP_END, STEP_MIN, Descent, Segment
from stepline_ingest.query.export import Cursor, ExportQuery, read_export
from stepline_ingest.query.request import Range
from stepline_ingest.query.summaries import MetricSummary, summarize
from stepline_ingest.retention import Keeper, expire
from stepline_ingest.retention import fill as fills
from stepline_ingest.retention.months import DAY, month_end
from stepline_ingest.store import Store, StoreError
from stepline_ingest.store.expired import Expired
from tests.support.old_points import JANUARY, Old, states


@pytest.fixture
def keeper(embedded: Store) -> Iterator[Keeper]:
    """It looks when it is told to; only January is due."""
    now = month_end(202601) + 40 * DAY
    made = Keeper(embedded, 30 * DAY, interval=1e6, delay=1e6, now=lambda: now)
    yield made
    made.stop()


def test_a_clock_that_is_set_during_a_look_lets_nothing_more_go(
    embedded: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    Old().build(embedded)
    clock = [keeper._now()]

    def jump() -> None:
        clock[0] += 3_650 * DAY

    monkeypatch.setattr(keeper, "_now", lambda: clock[0])
    monkeypatch.setattr(keeper, "_rest", jump)
    assert keeper.look() == 200
    assert [state for _, state in states(embedded)] == ["expired", "stored", "stored"]


@contextmanager
def failing(store: Store, *texts: str, done: bool = False) -> Iterator[None]:
    """The first statement with each of TEXTS fails; after it was done where DONE says so."""
    left = list(texts)

    def failing_once(call: Callable[..., object]) -> Callable[..., object]:
        def fails(sql: str, *given: object, **named: object) -> object:
            found = [text for text in left if text in sql]
            if found:
                left.remove(found[0])
                if done and call.__name__ == "command":
                    call(sql, *given, **named)
                raise StoreError("for a moment")
            return call(sql, *given, **named)

        return fails

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fills, "_RETRY", 0.0)
        patch.setattr(store, "command", failing_once(store.command))
        patch.setattr(store, "query", failing_once(store.query))
        yield
    assert not left


def test_only_the_end_of_points_makes_answers_be_forgotten(embedded: Store) -> None:
    Old().build(embedded)
    before = embedded.memo.version()
    versions: list[object] = []
    expire(embedded, 202601, between=lambda: versions.append(embedded.memo.version()))
    assert set(versions) == {before} != {embedded.memo.version()}


def everything_counts_once(store: Store) -> None:
    assert states(store)[0] == (202601, "expired")
    assert store.query("SELECT sum(count) FROM series") == [(500,)]
    assert audit(store).clean


def test_a_decision_whose_outcome_is_unknown_is_asked_for_again(embedded: Store) -> None:
    Old().build(embedded)
    with failing(embedded, "'filled'", fills._STATE, done=True):
        assert expire(embedded, 202601) == 200
    everything_counts_once(embedded)


def test_a_fill_that_could_not_be_given_up_is_begun_anew(embedded: Store, keeper: Keeper) -> None:
    Old().build(embedded)
    with failing(embedded, "INSERT INTO raw_marks", fills._STATE), pytest.raises(StoreError):
        expire(embedded, 202601)
    assert states(embedded)[0] == (202601, "expiring")
    assert keeper.look() == 200
    everything_counts_once(embedded)


def test_a_fill_that_counts_is_ended_at_the_next_look(
    embedded: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    Old().build(embedded)

    def fails(*_: object) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(fills, "_drop_at_last", fails)
        with pytest.raises(StoreError):
            expire(embedded, 202601)
    assert states(embedded)[0] == (202601, "expiring")
    before = embedded.expired.fills()
    with failing(embedded, "DROP PARTITION ID"):
        assert keeper.look() == 0
    assert not embedded.expired.unchanged(before), "who has read before reads again"
    everything_counts_once(embedded)


def test_fills_that_were_read_before_a_change_are_not_remembered() -> None:
    answers: list[list[tuple[object, ...]]] = [[], [(1,)]]

    def query(_: str) -> list[tuple[object, ...]]:
        found = answers.pop(0)
        if not found:
            with expired.changing():
                pass
        return found

    expired = Expired(query)
    assert expired.fills().numbers == ()
    assert expired.fills().numbers == (1,)


def statistics(store: Store, segment: Segment) -> tuple[int, int, int, float]:
    found: dict[int, MetricSummary] = {}
    summarize(store, (segment,), None, {}, found)
    lr = found[siphash64("lr")]
    return lr.count, lr.first[0], lr.last[0], lr.last_value


def test_an_attempt_that_is_cut_after_its_points_expired_is_cut_at_a_cell(embedded: Store) -> None:
    sample = Old()
    sample.build(embedded)
    expire(embedded, 202601)
    # Forked at 500: the cell 384..511 of rank 0 belongs to it; rank 1 has not expired.
    forked = Segment(sample.run, 1, STEP_MIN, 501, whole_below=True)
    assert statistics(embedded, forked) == (51 + 50, 10, 510, 51.25)
    # From 700 on: the cell 640..767 does not.
    behind = Segment(sample.run, 1, 700, STEP_END)
    assert statistics(embedded, behind) == (24 + 100, 770, 2_000, 200.25)


def test_an_export_of_a_fork_never_goes_back_to_the_beginning(embedded: Store) -> None:
    parent, child = Old("parent"), Old("child")
    parent.build(embedded)
    child.put_run(embedded)
    own = child.points(range(201, 251))
    child.insert(embedded, [replace(point, received=JANUARY) for point in own], "own")
    expire(embedded, 202601)
    shown = (Segment(parent.run, 1, STEP_MIN, STEP_END, whole_below=True),)
    descent = Descent.of_fork(child.run, shown, 2_000).begun(1)
    query = ExportQuery("child", (), (), Range(None, None), all_attempts=False, after=None)
    ids = {parent.run: "parent"}
    chunks = list(read_export(embedded, query, descent, {}, ids=ids))
    assert [bool(chunk.slices) for chunk in chunks] == [False, True, False]
    assert chunks[2].cursor == chunks[1].cursor
    go_on = replace(query, after=Cursor.unpack(chunks[2].cursor))
    again = read_export(embedded, go_on, descent, {}, ids=ids)
    assert not any(chunk.slices for chunk in again)


def test_the_first_value_of_a_series_is_its_first_finite_one(embedded: Store) -> None:
    sample = Old()
    sample.put_run(embedded)
    nan = float("nan")

    def put(received: int, values: dict[int, float]) -> None:
        points = sample.points(list(values), metrics=["lr"])
        sample.insert(
            embedded,
            [replace(p, value=values[p.seq], received=received) for p in points],
            f"of-{received}",
        )

    put(JANUARY, {**dict.fromkeys(range(1, 50), nan), 200: 1.0})
    put(JANUARY + 300 * 86_400, {50: 2.0, 300: nan})
    expire(embedded, 202601)
    assert embedded.query("SELECT first, last, count FROM series") == [(2.0, 1.0, 52)]
