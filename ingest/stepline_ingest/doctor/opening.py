"""Opening a store in order to look at it: nothing is created, nothing is migrated."""

from __future__ import annotations

from pathlib import Path

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.lock import DirectoryInUse
from stepline_ingest.store.place import holds_store


def open_for_audit(spec: str | None, data_dir: Path) -> Store:
    """The embedded store in DATA_DIR, whose lock it takes, or the server that SPEC names. Raises
    StoreError."""
    if spec is not None:
        from stepline_ingest.store.dsn import parse_dsn
        from stepline_ingest.store.server import ServerStore

        return ServerStore(parse_dsn(spec))
    if not holds_store(data_dir):
        raise StoreError(
            f"{data_dir} holds no store: name the directory that `stepline serve --data` was given"
        )
    from stepline_ingest.store.embedded import EmbeddedStore

    try:
        return EmbeddedStore(data_dir)
    except DirectoryInUse as error:
        raise StoreError(
            f"{error.where}: ask its service with `stepline doctor --server HOST:PORT`, or stop it"
        ) from None
