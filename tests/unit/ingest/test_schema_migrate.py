"""Promise: a store gets each migration once, a newer store is refused, and a crash in between does
no harm."""

from __future__ import annotations

import pytest

from stepline_ingest.schema import SchemaError, migrate, migrations
from stepline_ingest.schema.migrate import Migration
from stepline_ingest.store import StoreError

APPLIED = "SELECT version, name FROM schema_migrations ORDER BY version"


def test_no_two_files_have_one_number():
    numbers = [migration.version for migration in migrations()]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


def test_all_are_applied_once(store):
    known = [(migration.version, migration.name) for migration in migrations()]
    assert store.query(APPLIED) == known
    assert migrate(store) == []
    assert store.query(APPLIED) == known


def test_a_crash_inside_a_migration_is_mended(store):
    store.command("DELETE FROM schema_migrations WHERE version >= 3")
    store.command("DROP VIEW points")
    assert migrate(store) == [migration.version for migration in migrations()[2:]]
    assert store.query("SELECT count() FROM points") == [(0,)]


def test_every_statement_may_be_repeated(store):
    store.command("TRUNCATE TABLE schema_migrations")
    assert migrate(store) == [migration.version for migration in migrations()]


def test_a_newer_store_is_refused(store):
    store.insert_rows("schema_migrations", ("version", "name", "checksum"), [(9999, "future", "x")])
    with pytest.raises(SchemaError, match=r"version 9999.*upgrade"):
        migrate(store)


def test_a_changed_migration_is_refused(store):
    store.command("TRUNCATE TABLE schema_migrations")
    store.insert_rows(
        "schema_migrations", ("version", "name", "checksum"), [(1, "points", "other")]
    )
    with pytest.raises(SchemaError, match="0001_points"):
        migrate(store)


def test_a_schema_error_is_a_store_error():
    assert issubclass(SchemaError, StoreError)


def test_comments_may_be_mended():
    plain = Migration(1, "x", "-- a\nCREATE TABLE a;\n\nCREATE TABLE b;\n")
    mended = Migration(1, "x", "-- b\n  -- c\nCREATE  TABLE a;\n\n-- d\nCREATE TABLE\n b;\n")
    changed = Migration(1, "x", "CREATE TABLE a;\n\nCREATE TABLE c;\n")
    assert plain.statements() == ["CREATE TABLE a", "CREATE TABLE b"]
    assert plain.checksum == mended.checksum != changed.checksum


def test_released_migrations_are_frozen():
    """A change here breaks every store that exists: add a migration instead."""
    assert {m.version: m.checksum for m in migrations()} == FROZEN


FROZEN: dict[int, str] = {
    1: "95443c9de4ab2370",
    2: "aa7b74e32b121f6a",
    3: "d784e5f13ba5a47e",
    4: "f38fd161782e470c",
    5: "a395f40bb85b6ec6",
    8: "72cbf472bc2e4d21",
    9: "ec618f30dee5e7b0",
    10: "a6da7bf4c34817ba",
    12: "018e57bf97ad5793",
    13: "15c3c7e6cc657cb8",
}
