"""What the service asks of a store, whether it is embedded or a server.

Every call blocks, may come from any thread, and raises StoreError and nothing else. Tables are
named without their database: a store works in one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from .errors import StoreError
from .expired import Expired
from .inserts import MAX_BLOCK_ROWS, POINTS_COLUMNS
from .memo import Memo
from .native import NativeBlock
from .params import Param, Setting
from .staging import StagedBlock

__all__ = [
    "MAX_BLOCK_ROWS",
    "POINTS_COLUMNS",
    "Expired",
    "Memo",
    "NativeBlock",
    "Param",
    "Setting",
    "StagedBlock",
    "Store",
    "StoreError",
]


class Store(Protocol):
    """A ClickHouse, in this process or elsewhere."""

    @property
    def kind(self) -> str:
        """ "chdb" or "clickhouse", for people."""

    def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
        """A block for `insert_points` in memory outside the heap, which its `close` gives back.
        WRITE gets an open file, writes one Native block to it and returns the number of rows."""

    @property
    def memo(self) -> Memo:
        """What may be kept of answers until points change."""

    @property
    def rows_memo(self) -> Memo:
        """What may be kept of answers until rows of any other table change."""

    @property
    def expired(self) -> Expired:
        """Which months of points were replaced by what is kept of them."""

    def holding_inserts(self) -> AbstractContextManager[None]:
        """Until the end of the block this process inserts no points. `insert_rows` may wait for it
        as well, `command` does not."""

    def insert_points(
        self,
        block: Sequence[bytes] | StagedBlock,
        *,
        rows: int,
        token: str,
        runs: Collection[int] | None = None,
    ) -> None:
        """Stores one Native block of `raw_points` as one part: all rows or none.

        BLOCK was staged, or is its bytes, cut anywhere; its columns are POINTS_COLUMNS. All rows
        have the same `received` month. Repeating the call with the same token and the same bytes
        changes nothing; the same token with other rows would drop them. RUNS are those that the
        points belong to, when that is known.
        """

    def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Adds rows to a small table. Integers, floats, strings, bytes and lists of these; times as
        integers in the unit of the column (milliseconds since the epoch for DateTime64(3))."""

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> list[tuple[object, ...]]:
        """All rows of a small result. Times come as integers, as they do in `insert_rows`."""

    def stream_native(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> Iterator[NativeBlock]:
        """A large result, block after block, each column one little-endian buffer. Closing the
        iterator ends the query."""

    def query_raw(
        self,
        sql: str,
        fmt: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
        *,
        readonly: bool,
        project: str | None = None,
    ) -> bytes:
        """A whole result in a ClickHouse format; a FORMAT clause in SQL wins over FMT.

        With READONLY the text may come from anyone: one statement that only reads this store's
        database, under limits (`analyst.LIMITS`, changed by SETTINGS). What is refused raises a
        StoreError that `blames_query`. With PROJECT too, it sees the views of that project and no
        row of another one.
        """

    def stream_raw(
        self,
        sql: str,
        fmt: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
        *,
        project: str | None = None,
        counted: Callable[[int], None] | None = None,
        named: Callable[[str], None] | None = None,
        revision: int = 0,
    ) -> Iterator[bytes]:
        """What `query_raw` answers to READONLY, piece after piece as it is made where the format
        allows that (`formats.STREAMED`), and without a limit of its size there. Closing the
        iterator ends the query. From a store that knows, COUNTED hears of the rows of each piece
        before it comes, and NAMED, before all, of the format that the text chose. Native is written
        as clients read it that speak REVISION of ClickHouse's protocol."""

    def end_orphans(self) -> None:
        """For a service that has just started, before it reads marks: returns when no INSERT of
        points that an earlier one left behind can still commit; one that takes long is killed."""

    def command(
        self,
        sql: str,
        settings: Mapping[str, Setting] | None = None,
        *,
        points: bool = True,
    ) -> None:
        """A statement without a result. POINTS: it may change what is stored of points."""

    def cancel(self, mark: str) -> None:
        """Ends the queries that run with the setting `cancel.MARK` = MARK: they raise."""

    def close(self) -> None:
        """Ends everything that runs. A second call does nothing."""
