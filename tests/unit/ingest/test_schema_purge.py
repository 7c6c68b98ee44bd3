"""Deleted runs leave nothing behind, and everything else stays what it was."""

from __future__ import annotations

from stepline_ingest.schema.purge import TABLES, purge
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store
from tests.support.points import Point, block
from tests.support.processes import wait_until

GONE, KEPT = 11, 22
BY_SERIES = """
SELECT run, count() AS n, sumIf(value, finite) FROM raw_points GROUP BY run, metric, rank, attempt
ORDER BY run
"""
WITH_ROLLUP = {"force_optimize_projection_name": "series"}
WITHOUT = {"optimize_use_projections": 0}


def fill(store: Store, run: int, first: int, token: str) -> None:
    points = [Point(run=run, step=i, seq=first + i, value=i / 4) for i in range(500)]
    store.insert_points([block(points)], rows=len(points), token=token)


def delete(store: Store, run: int) -> None:
    store.insert_rows(
        "raw_deletions", ("run", "run_id", "project", "deleted"), [(run, "x", "p", 1)]
    )


def wait_purged(store: Store) -> None:
    wait_until(lambda: purge(store), what="the rows are removed")


def test_only_the_deleted_run_goes(store: Store) -> None:
    """Parts of both runs, with and without rollups: the rollups of what stays are those of its
    points."""
    for first in (1, 501):
        fill(store, GONE, first, f"gone{first}")
        fill(store, KEPT, first, f"kept{first}")
    store.command("OPTIMIZE TABLE raw_points FINAL")
    fill(store, GONE, 1001, "late")
    store.insert_rows(
        "raw_metrics",
        ("run", "metric", "name", "first_seen"),
        [(GONE, 2, "a", 1), (KEPT, 2, "a", 1)],
    )
    kept = store.query(BY_SERIES, settings=WITHOUT)[1:]
    assert purge(store), "nothing was deleted yet"
    delete(store, GONE)
    wait_purged(store)
    build_rollups(store)
    assert store.query(BY_SERIES, settings=WITHOUT) == kept
    assert store.query(BY_SERIES, settings=WITH_ROLLUP) == kept
    for table in TABLES:
        assert store.query(f"SELECT count() FROM {table} WHERE run = {GONE}") == [(0,)]
    assert store.query("SELECT count() FROM raw_metrics") == [(1,)]


def test_what_was_in_flight_follows(store: Store) -> None:
    fill(store, GONE, 1, "one")
    delete(store, GONE)
    wait_purged(store)
    fill(store, GONE, 501, "two")
    wait_purged(store)
    assert store.query("SELECT count() FROM raw_points") == [(0,)]
