"""What an INSERT needs beside its bytes, the same for both stores."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence

from .errors import StoreError
from .native import block_shape, write_block
from .params import Setting
from .staging import StagedBlock

POINTS_TABLE = "raw_points"
POINTS_COLUMNS = (
    "run",
    "metric",
    "rank",
    "attempt",
    "step",
    "time",
    "value",
    "writer",
    "seq",
    "received",
)

MAX_BLOCK_ROWS = 2_000_000
"""Rows of one `insert_points`; up to so many become one part."""

_TOKEN = re.compile(r"[A-Za-z0-9._:-]{1,200}", re.ASCII)
_TABLE = re.compile(r"[a-z_]{1,64}", re.ASCII)

_SETTINGS: dict[str, Setting] = {
    # Acknowledged means committed: the default hands rows to a buffer.
    "async_insert": 0,
    # One block whatever the number of Native blocks, hence one part, hence all or nothing.
    "max_insert_threads": 1,
    "max_insert_block_size": MAX_BLOCK_ROWS,
    "min_insert_block_size_rows": MAX_BLOCK_ROWS,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 1,
    "throw_on_max_partitions_per_insert_block": 1,
}


def check_block(block: Sequence[bytes] | StagedBlock, rows: int) -> None:
    """Raises StoreError when BLOCK does not begin like one of ROWS points that can become one
    part."""
    if not 0 < rows <= MAX_BLOCK_ROWS:
        raise StoreError(
            f"{rows} rows in one insert, 1 to {MAX_BLOCK_ROWS} are possible", blames_data=True
        )
    found = block_shape([block.head(32)] if isinstance(block, StagedBlock) else block)
    if found != (len(POINTS_COLUMNS), rows):
        raise StoreError(
            f"the block has {found[0]} columns and {found[1]} rows instead of "
            f"{len(POINTS_COLUMNS)} and {rows}",
            blames_data=True,
        )


def points_settings(token: str) -> dict[str, Setting]:
    """The settings of one `insert_points`."""
    if not _TOKEN.fullmatch(token):
        raise StoreError(f"{token!r} is no token for an insert")
    return {
        **_SETTINGS,
        "insert_deduplicate": 1,
        "insert_deduplication_token": token,
        "priority": 1,
    }


def rows_settings() -> dict[str, Setting]:
    # Without a token the engine would drop a block that equals an earlier one.
    return {**_SETTINGS, "insert_deduplicate": 0}


class Tables:
    """The column types of the small tables, asked for once."""

    def __init__(self, query: Callable[..., list[tuple[object, ...]]]) -> None:
        self._query = query
        self._types: dict[str, dict[str, str]] = {}

    def block(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
        """ROWS as one Native block. Raises StoreError for values that do not fit their column."""
        types = self._columns(table)
        missing = [name for name in columns if name not in types]
        if missing:
            raise StoreError(f"table {table} has no column {', '.join(missing)}")
        cells = list(zip(*rows, strict=True))
        try:
            return write_block(
                [(name, types[name], values) for name, values in zip(columns, cells, strict=True)]
            )
        except (ValueError, TypeError, OverflowError, AssertionError, struct.error) as error:
            raise StoreError(
                f"a row does not fit table {table}: {error}", blames_data=True
            ) from error

    def _columns(self, table: str) -> dict[str, str]:
        if table not in self._types:
            if not _TABLE.fullmatch(table):
                raise StoreError(f"{table!r} is no name of a table")
            found = self._query(
                "SELECT name, type FROM system.columns"
                " WHERE database = currentDatabase() AND table = {table:String}",
                {"table": table},
            )
            if not found:
                raise StoreError(f"there is no table {table}", code=60)
            self._types[table] = {str(name): str(type_) for name, type_ in found}
        return self._types[table]
