"""The SQL of keys. A row is never changed: of those with one digest the newest version counts."""

from __future__ import annotations

import time
from typing import Any

from stepline_ingest.access.key import Key, Scope
from stepline_ingest.store.contract import Store

_ALL = """
SELECT digest, scope, project, name, created, expires, revoked
FROM raw_keys FINAL ORDER BY created DESC, digest
"""
_COLUMNS = ("digest", "scope", "project", "name", "created", "expires", "revoked", "version")


class KeyTables:
    """Keys in a store. Every method blocks and raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self) -> list[Key]:
        """All of them, newest first, revoked and expired ones included."""
        return [_key(row) for row in self._store.query(_ALL)]

    def put(self, key: Key) -> None:
        """Adds KEY, or replaces the one with its digest."""
        row = (
            key.digest,
            key.scope.value,
            key.project,
            key.name,
            key.created_ms,
            key.expires_ms,
            key.revoked_ms,
            time.time_ns(),
        )
        self._store.insert_rows("raw_keys", _COLUMNS, [row])


def _key(row: tuple[Any, ...]) -> Key:
    digest, scope, project, name, created, expires, revoked = row
    return Key(
        digest=digest,
        scope=Scope(scope),
        project=project,
        name=name,
        created_ms=created,
        expires_ms=expires,
        revoked_ms=revoked,
    )
