"""Keys of a store that no service has open: how the first key of a service comes to be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepline_ingest.access.key import Key, Scope
from stepline_ingest.access.key_tables import KeyTables
from stepline_ingest.access.keys_service import KeyMaker
from stepline_ingest.config import STORE_VARIABLE
from stepline_ingest.errors import ServiceError
from stepline_ingest.limits import Limits
from stepline_ingest.store import StoreError, open_store
from stepline_ingest.store.place import holds_store


class OfflineError(Exception):
    """The store cannot be opened or changed. One line, with the remedy."""


class OfflineKeys:
    """The calls of `_core.Connection` that are about keys."""

    def __init__(self, keys: KeyMaker) -> None:
        self._keys = keys

    def create_key(
        self, scope: str, project: str, name: str, expires_ms: int | None
    ) -> tuple[dict[str, Any], str]:
        key, secret = self._keys.create(Scope(scope), project, name, expires_ms)
        return _fields(key), secret

    def list_keys(self) -> list[dict[str, Any]]:
        return [_fields(key) for key in self._keys.list()]

    def revoke_key(self, id: str) -> dict[str, Any]:
        return _fields(self._keys.revoke(id))


@contextmanager
def keys(data: Path, store: str | None, *, make: bool) -> Iterator[OfflineKeys]:
    """Opens the store as `stepline serve --data DATA --store STORE` does: STORE is by default what
    STEPLINE_SERVE_STORE says. MAKE one that is not there. Raises OfflineError."""
    store = store or os.environ.get(STORE_VARIABLE) or None
    try:
        if store is None and not make and not holds_store(data):
            raise OfflineError(
                f"{data} holds no store: give the directory that `stepline serve --data` was given"
            )
        opened = open_store(store, data)
    except StoreError as error:
        raise OfflineError(
            f"{error}; while a service runs there, use --server and an admin key, or stop the "
            "service to make the first one"
        ) from error
    try:
        yield OfflineKeys(KeyMaker(KeyTables(opened), Limits()))
    except ServiceError as error:
        raise OfflineError(error.message) from error
    except StoreError as error:
        raise OfflineError(str(error)) from error
    finally:
        opened.close()


def _fields(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "scope": key.scope.value,
        "project": key.project,
        "name": key.name,
        "created_ms": key.created_ms,
        "expires_ms": key.expires_ms,
        "revoked_ms": key.revoked_ms,
    }
