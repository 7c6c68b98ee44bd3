"""The files below: what the engine wrote, has the checksums it was written with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepline_ingest.schema import migrations, tiers
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError, split

from .finding import Finding, Kind
from .reading import Reader

UNREADABLE = frozenset(
    {
        *(3, 4, 32, 33, 228, 361),  # sizes and ends of files
        *(39, 40, 89, 246, 271, 432),  # compression and checksums
        *(74, 87, 107, 226),  # files that are gone, or that the disk does not give
        *(91, 117, 128, 131, 282, 287, 740, 713),  # contents that no sound file has
    }
)
"""Numbers of errors that mean damaged or missing files."""

_TABLES = (
    "SELECT name FROM system.tables WHERE database = currentDatabase() "
    "AND engine LIKE '%MergeTree' ORDER BY name"
)
_DETACHED = (
    "SELECT table, name, reason, path, partition_id, min_block_number, max_block_number "
    "FROM system.detached_parts WHERE database = currentDatabase() "
    "AND reason IN ('broken', 'broken-on-start') ORDER BY table, name LIMIT 100"
)
_HAS_BLOCKS = (
    "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active "
    "AND table = {table:String} AND partition_id = {partition:String} "
    "AND min_block_number <= {first:Int64} AND max_block_number >= {last:Int64}"
)
_ROLLUP = re.compile(
    rf"(?:/(?=\w+\.proj/)|data part |projection `)({'|'.join(tiers.projections())})\b"
)
"""How the engine's messages name a projection whose files are damaged."""
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
            said = split(message)[1]
            rollup = _rollup(said)
            whose = f"projection {rollup} of " if rollup else ""
            yield Finding(
                kind=Kind.ROLLUP if rollup else Kind.PART,
                message=f"{whose}part {path} of {table} is damaged: {said}",
                rollup=rollup,
                about=f"{table} {path}",
            )


def unreadable(what: str, error: StoreError) -> Finding:
    """WHAT could not be looked at."""
    text = str(error)
    rollup = _rollup(text)
    return Finding(
        kind=Kind.ROLLUP if rollup else Kind.PART,
        message=f"{what} cannot be checked, files are damaged: {text}",
        rollup=rollup,
        about=what,
    )


def check_engine(reader: Reader) -> Iterator[Finding]:
    """What the engine itself has set aside or cannot finish."""
    for table, name, reason, path, partition, first, last in reader.rows(_DETACHED):
        asked = {"table": table, "partition": partition, "first": first, "last": last}
        # A part that others were made from comes back when what it became cannot be read.
        spare = first is not None and reader.rows(_HAS_BLOCKS, asked) != [(0,)]
        what = f"the engine has set part {name} of {table} aside ({reason})"
        rows = "other parts have its rows" if spare else "its rows are missing"
        yield Finding(
            kind=Kind.LEFTOVER if spare else Kind.PART,
            message=f"{what}, {rows}: {path}",
            about=f"{table} {name}",
        )
    for table, number, command, reason in reader.rows(_MUTATIONS):
        yield Finding(
            kind=Kind.MUTATION,
            message=f"mutation {number} of {table} ({command}) does not end: {split(reason)[1]}",
            about=f"{table} {number}",
        )


def _rollup(said: str) -> str:
    """The projection whose files are damaged, as the engine says; "" when it names none."""
    found = _ROLLUP.search(said)
    return found[1] if found else ""
