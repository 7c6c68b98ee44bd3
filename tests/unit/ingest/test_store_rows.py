"""Promise: rows of small tables come back as they were given, or blame their data."""

from __future__ import annotations

import pytest

from stepline_ingest.store import StoreError


def test_rows_of_small_tables(store):
    columns = (
        "run",
        "run_id",
        "config",
        "tags",
        "group",
        "exit_code",
        "fork_step",
        "created",
        "version",
    )
    row = (
        2**64 - 1,
        "räksmörgås\n'",
        '{"a": "\\u0000"}',
        ["x", ""],
        "g",
        None,
        -5,
        1790000000123,
        1,
    )
    store.insert_rows("raw_runs", columns, [row])
    assert store.query(
        f"SELECT {', '.join(columns).replace('group', '`group`')} FROM raw_runs"
    ) == [row]


def test_the_same_row_may_be_added_again(store):
    for _ in range(2):
        store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), [(1, 2, "a", 3)])
    assert store.query("SELECT count() FROM raw_metrics") in ([(1,)], [(2,)])
    assert store.query("SELECT * FROM raw_metrics FINAL") == [(1, 2, "a", 3)]


def test_bytes_of_any_kind(store):
    payload = bytes(range(256))
    store.insert_rows("raw_rejects", ("run", "writer", "payload"), [(1, 2, payload)])
    assert store.query("SELECT hex(payload) FROM raw_rejects") == [(payload.hex().upper(),)]
    (text,) = store.query("SELECT payload FROM raw_rejects")[0]
    assert text.encode("utf-8", "surrogateescape") == payload


@pytest.mark.parametrize("row", [(-1, "a"), (2**64, "a"), ("x", "a"), (1,), (1, "a", 2)])
def test_a_row_that_does_not_fit_blames_the_data(store, row):
    with pytest.raises(StoreError) as caught:
        store.insert_rows("raw_runs", ("run", "run_id"), [row])
    assert caught.value.blames_data
    assert store.query("SELECT count() FROM raw_runs") == [(0,)]


@pytest.mark.parametrize(
    ("table", "columns"),
    [("nowhere", ("a",)), ("raw_runs", ("nope",)), ("raw_runs; DROP", ("run",))],
)
def test_unknown_tables_and_columns(store, table, columns):
    with pytest.raises(StoreError):
        store.insert_rows(table, columns, [(1,)])


def test_no_rows_are_no_insert(store):
    store.insert_rows("raw_runs", ("run",), [])
