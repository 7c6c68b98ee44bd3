"""The files below: what the engine wrote, has the checksums it was written with."""

from __future__ import annotations

from collections.abc import Iterator

from stepline_ingest.schema import migrations
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from .finding import Finding, Kind
from .reading import Reader

UNREADABLE = frozenset({32, 33, 40, 107, 226, 228, 246, 271, 432})
"""Numbers of errors that mean damaged or missing files: ends of files, checksums, compression."""

_TABLES = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() "
    "AND engine LIKE '%MergeTree' ORDER BY name"
)
_DETACHED = (
    "SELECT table, name, reason FROM system.detached_parts "
    "WHERE database = currentDatabase() AND reason IN ('broken', 'broken-on-start') "
    "ORDER BY table, name LIMIT 100"
)
_MUTATIONS = (
    "SELECT table, mutation_id, command, latest_fail_reason FROM system.mutations "
    "WHERE database = currentDatabase() AND NOT is_done AND latest_fail_reason != '' "
    "ORDER BY table, mutation_id LIMIT 100"
)
_APPLIED = "SELECT version, any(checksum) FROM schema_migrations GROUP BY version"


def tables(reader: Reader) -> list[str]:
    """The tables that hold data."""
    return [str(name) for (name,) in reader.rows(_TABLES)]


def check_schema(store: Store) -> Iterator[Finding]:
    """Whether the tables are those that this program knows."""
    try:
        applied = {int(str(v)): str(checksum) for v, checksum in store.query(_APPLIED)}
    except StoreError as error:
        yield Finding(kind=Kind.SCHEMA, message=f"there is no store of Stepline: {error}")
        return
    known = {migration.version: migration.checksum for migration in migrations()}
    if applied != known:
        yield Finding(
            kind=Kind.SCHEMA,
            message=f"the store has the migrations {sorted(applied)}, this program "
            f"{sorted(known)}, or they are not the same",
        )


def check_parts(reader: Reader, table: str) -> Iterator[Finding]:
    """Reads every file of TABLE and compares its checksum."""
    settings = {"check_query_single_value_result": 0}
    # The name comes from the engine's own list.
    for path, passed, message in reader.rows(f"CHECK TABLE `{table}`", settings=settings):
        if not passed:
            yield Finding(
                kind=Kind.PART,
                message=f"part {path} of {table} is damaged: {message}",
                about=f"{table} {path}",
            )


def unreadable(what: str, error: StoreError) -> Finding:
    """WHAT could not be looked at."""
    return Finding(
        kind=Kind.PART, message=f"{what} cannot be checked, files are damaged: {error}", about=what
    )


def check_engine(reader: Reader) -> Iterator[Finding]:
    """What the engine itself has set aside or cannot finish."""
    for table, name, reason in reader.rows(_DETACHED):
        yield Finding(
            kind=Kind.PART,
            message=f"the engine has set part {name} of {table} aside: {reason}",
            about=f"{table} {name}",
        )
    for table, number, command, reason in reader.rows(_MUTATIONS):
        yield Finding(
            kind=Kind.PART,
            message=f"mutation {number} of {table} ({command}) does not end: {reason}",
            about=f"{table} {number}",
        )
