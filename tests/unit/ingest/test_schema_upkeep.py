"""Promise: no part stays without rollups, and none keeps its neighbours from being merged."""

from __future__ import annotations

import time

from stepline_ingest.schema import Upkeep
from stepline_ingest.schema.upkeep import bare_parts, build_rollups
from tests.support.points import block, line

PARTS = (
    "SELECT rows, length(projections) FROM system.parts WHERE database = currentDatabase() "
    "AND table = 'raw_points' AND active ORDER BY min_block_number"
)


def insert(store, rows, token):
    store.insert_points([block(line([1.0] * rows))], rows=rows, token=token)


def test_a_part_left_between_merged_ones_is_no_barrier(store):
    insert(store, 10, "a")
    build_rollups(store)
    insert(store, 20, "b")
    insert(store, 30, "c")
    store.command("OPTIMIZE TABLE raw_points FINAL")
    assert len(store.query(PARTS)) > 1, "the engine merges parts with different rollups now"
    build_rollups(store)
    store.command("OPTIMIZE TABLE raw_points FINAL")
    assert store.query(PARTS) == [(60, 5)]


def test_young_parts_are_left_to_the_merges(store):
    store.command("SYSTEM STOP MERGES raw_points")
    insert(store, 10, "a")
    assert [bare.rows for bare in bare_parts(store)] == [10]
    assert bare_parts(store, age=3600) == []
    assert build_rollups(store, age=3600) == 0


def test_the_thread_builds_what_is_missing_and_ends(store):
    upkeep = Upkeep(store, interval=0.05, age=0)
    insert(store, 10, "a")
    while bare_parts(store):
        time.sleep(0.05)
    insert(store, 10, "b")
    while bare_parts(store):
        time.sleep(0.05)
    upkeep.stop()
    store.command("SYSTEM STOP MERGES raw_points")
    insert(store, 10, "c")
    time.sleep(0.3)
    assert [bare.rows for bare in bare_parts(store)] == [10]


def test_a_store_that_fails_does_not_end_the_thread(embedded):
    embedded.command("RENAME TABLE raw_points TO elsewhere")
    upkeep = Upkeep(embedded, interval=0.01, age=0)
    time.sleep(0.2)
    embedded.command("RENAME TABLE elsewhere TO raw_points")
    insert(embedded, 10, "a")
    while bare_parts(embedded):
        time.sleep(0.05)
    upkeep.stop()
