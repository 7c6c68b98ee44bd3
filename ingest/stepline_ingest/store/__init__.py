"""The store: ClickHouse in this process or on a server, behind one contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .background import let_merges_give_way
from .contract import (
    MAX_BLOCK_ROWS,
    POINTS_COLUMNS,
    NativeBlock,
    Param,
    Setting,
    StagedBlock,
    Store,
)
from .errors import StoreError

if TYPE_CHECKING:
    from .embedded import EmbeddedStore
    from .server import ServerStore

__all__ = [
    "MAX_BLOCK_ROWS",
    "POINTS_COLUMNS",
    "NativeBlock",
    "Param",
    "Setting",
    "StagedBlock",
    "Store",
    "StoreError",
    "open_store",
]


def open_store(spec: str | None, data_dir: Path) -> Store:
    """The store that SPEC names, clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, or the embedded one
    in DATA_DIR. Its tables are brought up to date. Raises StoreError."""
    from stepline_ingest.retention import recover
    from stepline_ingest.schema import Upkeep, migrate

    store = _open(spec, data_dir)
    try:
        migrate(store, cluster=store.cluster)
        recover(store)
        store.create_tenant_views()
        let_merges_give_way()
        store.before_close(Upkeep(store).stop)
    except BaseException:
        store.close()
        raise
    return store


def _open(spec: str | None, data_dir: Path) -> EmbeddedStore | ServerStore:
    if spec is None:
        from .embedded import EmbeddedStore

        return EmbeddedStore(data_dir)
    from .dsn import parse_dsn
    from .server import ServerStore

    return ServerStore(parse_dsn(spec))
