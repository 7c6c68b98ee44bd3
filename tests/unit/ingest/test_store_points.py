"""Promise: a block of points becomes one part or nothing, a token counts once, and no error is
silent."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path

import pytest

from stepline_ingest.store import MAX_BLOCK_ROWS, StoreError, open_store
from tests.support.points import Point, block, line

PARTS = (
    "SELECT rows FROM system.parts WHERE database = currentDatabase() AND table = 'raw_points' "
    "AND active AND level = 0 ORDER BY rows"
)


def count(store):
    return store.query("SELECT count() FROM raw_points")[0][0]


def test_values_come_back_bit_for_bit(store):
    values = [0.1, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308]
    points = [
        Point(
            run=2**64 - 1,
            metric=2**63,
            rank=2**32 - 1,
            attempt=2**32 - 1,
            step=step,
            time=1_790_000_000_123,
            value=value,
            writer=2**128 - 1,
            seq=2**63,
        )
        for step, value in zip((-(2**63), -1, 0, 1, 7, 2**63 - 1), values, strict=True)
    ]
    store.insert_points([block(points)], rows=6, token="t")
    names = [field.name for field in dataclasses.fields(Point)]
    found = store.query(f"SELECT {', '.join(names)} FROM raw_points ORDER BY step")
    assert [repr(row) for row in found] == [repr(dataclasses.astuple(point)) for point in points]


def test_nan_keeps_its_bits(store):
    point = Point(step=1, seq=1, value=float("nan"))
    store.insert_points([block([point])], rows=1, token="t")
    assert store.query("SELECT reinterpretAsUInt64(value) FROM raw_points") == [(0x7FF8 << 48,)]


def test_one_block_is_one_part_wherever_its_bytes_are_cut(store):
    store.command("SYSTEM STOP MERGES raw_points")
    small, large = block(line(range(1000))), block(line(range(70_000), run=2))
    store.insert_points(
        [small[i : i + 777] for i in range(0, len(small), 777)], rows=1000, token="a"
    )
    store.insert_points([large], rows=70_000, token="b")
    assert store.query(PARTS) == [(1000,), (70_000,)]


def test_a_staged_block_is_stored_as_often_as_it_takes(store):
    data = block(line(range(100)))

    def write(handle: int) -> int:
        os.write(handle, data)
        return 100

    with store.stage_points(write) as staged:
        assert (staged.rows, staged.size, staged.head(8)) == (100, len(data), data[:8])
        assert b"".join(staged.chunks()) == data
        for token in ("a", "a", "b"):
            store.insert_points(staged, rows=staged.rows, token=token)
    assert count(store) == 200
    # The file is used again for a smaller block.
    with store.stage_points(lambda handle: os.write(handle, block(line([1.0]))) and 1) as staged:
        store.insert_points(staged, rows=1, token="c")
    assert count(store) == 201


def test_a_block_of_a_million_rows_is_one_part(embedded):
    rows = 1_100_000
    embedded.command("SYSTEM STOP MERGES raw_points")
    embedded.insert_points([block(line([0.5] * rows))], rows=rows, token="a")
    assert embedded.query(PARTS) == [(rows,)]


def test_a_token_counts_once(store):
    data = block(line(range(100)))
    for _ in range(3):
        store.insert_points([data], rows=100, token="same")
    assert count(store) == 100
    store.insert_points([data], rows=100, token="another")
    assert count(store) == 200


def test_a_token_is_remembered_after_a_restart(tmp_path: Path):
    data = block(line(range(10)))
    for _ in range(2):
        store = open_store(None, tmp_path)
        store.insert_points([data], rows=10, token="same")
        assert count(store) == 10
        store.close()


@pytest.mark.parametrize("cut", [1, 9, 400])
def test_a_torn_block_is_refused_and_leaves_nothing(store, cut):
    data = block(line(range(100)))
    with pytest.raises(StoreError) as caught:
        store.insert_points([data[:-cut]], rows=100, token="t")
    assert caught.value.blames_data
    assert not caught.value.outcome_unknown
    assert count(store) == 0
    store.insert_points([data], rows=100, token="t")
    assert count(store) == 100


@pytest.mark.parametrize("rows", [99, 101, 0, MAX_BLOCK_ROWS + 1])
def test_the_announced_rows_must_be_those_of_the_block(store, rows):
    with pytest.raises(StoreError) as caught:
        store.insert_points([block(line(range(100)))], rows=rows, token="t")
    assert caught.value.blames_data
    assert count(store) == 0


def test_a_block_of_two_months_is_refused_whole(store):
    points = line(range(10))
    points[5] = dataclasses.replace(points[5], received=points[5].received + 40 * 86400)
    with pytest.raises(StoreError):
        store.insert_points([block(points)], rows=10, token="t")
    assert count(store) == 0


def test_an_insert_that_the_engine_cannot_write_is_an_error(store):
    # chDB's streaming insert swallows this one, and reports rows that are nowhere.
    store.command("SYSTEM STOP MERGES raw_points")
    store.command("ALTER TABLE raw_points MODIFY SETTING parts_to_throw_insert = 1")
    store.insert_points([block(line(range(3)))], rows=3, token="a")
    with pytest.raises(StoreError) as caught:
        store.insert_points([block(line(range(5)))], rows=5, token="b")
    assert caught.value.code == 252
    assert caught.value.is_retryable
    assert not caught.value.outcome_unknown
    assert not caught.value.blames_data
    assert count(store) == 3


@pytest.mark.parametrize("token", ["", "a b", "a'", "x" * 201])
def test_a_token_that_is_no_word_is_refused(store, token):
    with pytest.raises(StoreError, match="token"):
        store.insert_points([block(line([1]))], rows=1, token=token)


def test_many_threads_write_and_read_at_the_same_time(store):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(5):
                data = block(line(range(200), run=number))
                store.insert_points([data], rows=200, token=f"{number}-{i}")
                found = store.query(
                    "SELECT count(), {n:UInt64} FROM raw_points WHERE run = {n:UInt64}",
                    {"n": number},
                )
                assert found == [(200 * (i + 1), number)]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert count(store) == 8000


# --- over a network the outcome can stay open ---


def test_a_connection_that_breaks_before_the_commit_leaves_the_outcome_open(server, fault):
    fault("drop_before")
    with pytest.raises(StoreError) as caught:
        server.insert_points([block(line(range(10)))], rows=10, token="t")
    assert caught.value.outcome_unknown
    assert caught.value.is_retryable
    assert count(server) == 0
    server.insert_points([block(line(range(10)))], rows=10, token="t")
    assert count(server) == 10


@pytest.mark.parametrize("mode", ["drop_after_commit", "fail_after_commit"])
def test_repeating_an_insert_of_unknown_outcome_stores_it_once(server, fault, mode):
    fault(mode)
    with pytest.raises(StoreError) as caught:
        server.insert_points([block(line(range(10)))], rows=10, token="t")
    assert caught.value.outcome_unknown
    server.insert_points([block(line(range(10)))], rows=10, token="t")
    assert count(server) == 10


def test_the_data_of_an_insert_is_not_left_behind_by_a_redirect(server, fault):
    fault("redirect")
    with pytest.raises(StoreError, match="redirect"):
        server.insert_points([block(line(range(10)))], rows=10, token="t")
    server.insert_points([block(line(range(10)))], rows=10, token="t")
    assert count(server) == 10
