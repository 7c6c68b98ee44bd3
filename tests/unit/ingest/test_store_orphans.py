"""Promise: nothing is concluded about what is stored while an INSERT that nobody waits for may
still commit."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import pytest

from stepline_ingest.store import StoreError, open_store
from stepline_ingest.store.dsn import parse_dsn
from stepline_ingest.store.orphans import Orphans
from stepline_ingest.store.server import ServerStore
from tests.support.points import block, line

DATA = block(line(range(100)))
COUNT = "SELECT count() FROM raw_points"


def break_off(store, fault, *, token: str) -> None:
    """An INSERT whose connection breaks while the server goes on with it."""
    fault("orphan")
    with pytest.raises(StoreError) as caught:
        store.insert_points([DATA], rows=100, token=token)
    assert caught.value.outcome_unknown


def test_a_repeated_insert_waits_for_the_one_before(server, fault):
    break_off(server, fault, token="t")
    timer = threading.Timer(0.5, fault, ["release"])
    timer.start()
    server.insert_points([DATA], rows=100, token="t")
    assert timer.finished.is_set(), "it was repeated while it still ran"
    assert server.query(COUNT) == [(100,)]
    timer.join()


def test_a_new_service_waits_for_what_the_old_one_left(clickhouse_url, fault, tmp_path: Path):
    """Scenario: a service dies in mid-INSERT, its successor starts at once. Guarantee: the marks
    that it reads are the last word."""
    dsn = f"clickhouse://default@{clickhouse_url}/test_{uuid.uuid4().hex}"
    first = open_store(dsn, tmp_path)
    break_off(first, fault, token="t")
    first.close()
    timer = threading.Timer(0.5, fault, ["release"])
    timer.start()
    second = open_store(dsn, tmp_path)
    second.end_orphans()
    found = second.query(COUNT)
    assert timer.finished.is_set()
    assert found in ([(0,)], [(100,)])
    assert second.query(COUNT) == found
    timer.join()
    second.close()


def test_one_that_does_not_end_is_killed(server, fault):
    break_off(server, fault, token="t")
    orphans = Orphans(server.query, server._client.database, grace=0.2)
    timer = threading.Timer(1.0, fault, ["release"])  # it notices with the next data
    timer.start()
    orphans.end()
    assert server.query(COUNT) == [(0,)], "it was killed before it could commit"
    timer.join()


def test_one_that_cannot_be_ended_is_told(server, fault):
    break_off(server, fault, token="t")
    orphans = Orphans(server.query, server._client.database, grace=0.1, patience=0.3)
    try:
        with pytest.raises(StoreError, match="KILL QUERY") as caught:
            orphans.end("t")
        assert caught.value.outcome_unknown
        orphans.end("another")
    finally:
        fault("release")
        Orphans(server.query, server._client.database).end()


def test_inserts_of_other_databases_are_left_alone(server, fault, clickhouse_url):
    break_off(server, fault, token="t")
    try:
        other = ServerStore(parse_dsn(f"clickhouse://default@{clickhouse_url}/test_other"))
        other.end_orphans()
        other.close()
    finally:
        fault("release")
        Orphans(server.query, server._client.database).end()
    assert server.query(COUNT) == [(100,)]
