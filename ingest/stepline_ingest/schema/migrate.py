"""Brings the tables of a store to the version of this code.

Invariants - A migration that was released is never changed: its checksum is remembered and
compared. - Every statement may be repeated (IF NOT EXISTS, OR REPLACE). A process that dies in a
migration runs all of it again. - A store that is newer than the code is refused.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from string import Template

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_DEFINES = re.compile(
    r"(?:CREATE TABLE IF NOT EXISTS|CREATE OR REPLACE VIEW|CREATE VIEW IF NOT EXISTS|ALTER TABLE"
    r"|DROP (?:TABLE|VIEW) IF EXISTS)\s+\w+"
)
"""What stands before ON CLUSTER in the statements that migrations are made of."""
_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied DateTime64(3)
)
ENGINE = ${replicated}MergeTree
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_APPLIED = "SELECT version, any(checksum) FROM schema_migrations GROUP BY version ORDER BY version"


class SchemaError(StoreError):
    """The tables are not those that this code works with."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the statements; comments and blanks may be mended."""
        words = " ; ".join(self.statements()).split()
        return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]

    def statements(self) -> list[str]:
        parts = _COMMENT.sub("", self.text).split(";\n")
        return [stripped for part in parts if (stripped := part.strip())]


def migrations() -> list[Migration]:
    """All migrations, the oldest first."""
    return sorted(_files(), key=lambda migration: migration.version)


def migrate(store: Store, *, cluster: str | None = None, newest: int | None = None) -> list[int]:
    """Applies what is missing and returns the versions of it; NEWEST stops after that version. On a
    CLUSTER every replica gets the same tables, replicated.

    Raises SchemaError, StoreError.
    """
    known = migrations()
    store.command(ddl(_HISTORY.strip(), cluster))
    applied = {int(str(version)): str(checksum) for version, checksum in store.query(_APPLIED)}
    _check(known, applied)
    missing = [
        migration
        for migration in known
        if migration.version not in applied and (newest is None or migration.version <= newest)
    ]
    for migration in missing:
        for statement in migration.statements():
            store.command(ddl(statement, cluster))
        row = (migration.version, migration.name, migration.checksum, time.time_ns() // 1_000_000)
        store.insert_rows("schema_migrations", ("version", "name", "checksum", "applied"), [row])
        log.info("applied migration %04d_%s", migration.version, migration.name)
    return [migration.version for migration in missing]


def _check(known: list[Migration], applied: dict[int, str]) -> None:
    newest = known[-1].version
    beyond = [version for version in applied if version > newest]
    if beyond:
        raise SchemaError(
            f"the store has schema version {max(beyond)}, this program knows versions up to "
            f"{newest}: upgrade stepline-ingest to the version that wrote the store"
        )
    for migration in known:
        checksum = applied.get(migration.version)
        if checksum is not None and checksum != migration.checksum:
            raise SchemaError(
                f"migration {migration.version:04d}_{migration.name} is not the one that made this "
                "store: use a released version of stepline-ingest"
            )


def ddl(statement: str, cluster: str | None = None) -> str:
    """A statement of a migration as it is run: with engines that replicate, on all replicas of a
    CLUSTER, or for one server."""
    text = Template(statement).substitute(replicated="Replicated" if cluster else "")
    if cluster is None or text.startswith("INSERT INTO "):
        return text
    found = _DEFINES.match(text)
    if found is None:
        raise SchemaError(f"this cannot be run on a cluster: {text[:80]}")
    return f"{found[0]} ON CLUSTER '{cluster}'{text[found.end() :]}"


def _files() -> Iterator[Migration]:
    for file in resources.files(__package__).joinpath("migrations").iterdir():
        found = _FILE.fullmatch(file.name)
        if found:
            yield Migration(int(found[1]), found[2], file.read_text(encoding="utf-8"))
