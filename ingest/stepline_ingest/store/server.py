"""The store on a ClickHouse server or cluster, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from clickhouse_connect import get_client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from .analyst import FORMAT_QUERY, VIEW_SETTINGS, analyst_settings, judged
from .cancel import CANCEL
from .dsn import ServerAddress
from .errors import StoreError, insert_error, query_error
from .expired import Expired
from .gate import Gate
from .inserts import (
    POINTS_COLUMNS,
    POINTS_TABLE,
    Tables,
    check_block,
    points_settings,
    rows_settings,
)
from .memo import Memo
from .native import NativeBlock, read_blocks
from .orphans import Orphans
from .params import Escaped, Param, Setting, checked_name, unescaped
from .staging import StagedBlock, Staging

_CONNECTIONS = 32
"""Kept open to the server; more calls at the same time open more."""
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 300
_CHUNK = 1 << 20
_ACCESS_DENIED = 497
_UNSENT = Retry(connect=1, read=0, redirect=0, status=0, other=0)
"""Only what was never sent is sent again. The body of an INSERT can be read once: behind a redirect
or a fault of TLS an empty one would go, which succeeds."""
QUORUM: dict[str, Setting] = {"insert_quorum": "auto", "insert_quorum_parallel": 0}
"""On a cluster, acknowledged means stored on a majority of the replicas."""
SEQUENTIAL: dict[str, Setting] = {"select_sequential_consistency": 1}
"""On a cluster, a read sees everything that was acknowledged, whichever replica answers."""


class ServerStore:
    """A database of a ClickHouse server. Calls share a pool of connections and no session.

    While an INSERT of unknown outcome may still run at the server, it is not repeated.
    """

    kind = "clickhouse"

    def __init__(self, address: ServerAddress) -> None:
        with _raised_as(query_error, f"cannot reach ClickHouse at {address}"):
            self._client = get_client(
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.password,
                database="default",
                interface="https" if address.secure else "http",
                compress=False,
                autogenerate_session_id=False,
                connect_timeout=_CONNECT_SECONDS,
                send_receive_timeout=_ANSWER_SECONDS,
                show_clickhouse_errors=True,
                pool_mgr=get_pool_manager(maxsize=_CONNECTIONS, num_pools=2),
            )
        cast(Any, self._client).http_retries = _UNSENT
        self._tables = Tables(self.query)
        self._staging = Staging()
        # Another service may write the same database, if only while one takes over from the other.
        self.memo = Memo(trusted=False)
        self.rows_memo = Memo(trusted=False)
        self.expired = Expired(self.query)
        self._writes = Gate()
        self._before_close: list[Callable[[], None]] = []
        self.cluster = address.cluster
        on_cluster = f" ON CLUSTER '{address.cluster}'" if address.cluster else ""
        self.command(f"CREATE DATABASE IF NOT EXISTS {address.database}{on_cluster}")
        self._client.database = address.database
        self._orphans = Orphans(self.query, address.database, cluster=address.cluster)
        self._doubtful: set[str] = set()
        self._view_settings = self._known(VIEW_SETTINGS)

    def end_orphans(self) -> None:
        self._orphans.end()

    # --- writing ---

    def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
        return self._staging.stage(write)

    def insert_points(
        self,
        block: Sequence[bytes] | StagedBlock,
        *,
        rows: int,
        token: str,
        runs: Collection[int] | None = None,
    ) -> None:
        check_block(block, rows)
        if token in self._doubtful:
            self._orphans.end(token)
            self._doubtful.discard(token)
        pieces = block.chunks() if isinstance(block, StagedBlock) else (piece for piece in block)
        settings = points_settings(token) | (QUORUM if self.cluster else {})
        try:
            with self._writes.passing():
                self._insert(POINTS_TABLE, POINTS_COLUMNS, pieces, settings)
        except StoreError as error:
            if error.outcome_unknown:
                self._doubtful.add(token)
            raise

    def holding_inserts(self) -> AbstractContextManager[None]:
        return self._writes.closed()

    def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        if rows:
            block = self._tables.block(table, columns, rows)
            settings = rows_settings() | (QUORUM if self.cluster else {})
            self._insert(table, columns, (piece for piece in [block]), settings)

    def _insert(
        self,
        table: str,
        columns: Sequence[str],
        pieces: Generator[bytes, None, None],
        settings: Mapping[str, Setting],
    ) -> None:
        with _raised_as(insert_error):
            self._client.raw_insert(
                table,
                list(columns),
                pieces,
                settings=dict(settings),
                fmt="Native",
            )

    def cancel(self, mark: str) -> None:
        self.query(CANCEL, {"mark": mark})

    def command(
        self,
        sql: str,
        settings: Mapping[str, Setting] | None = None,
        *,
        points: bool = True,
    ) -> None:
        with _raised_as(query_error):
            self._client.command(sql, settings=dict(settings or {}))

    # --- reading ---

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> list[tuple[object, ...]]:
        if self.cluster:
            settings = SEQUENTIAL | dict(settings or {})
        raw = self.query_raw(sql, "Native", params, settings, readonly=False)
        return [row for block in read_blocks([raw]) for row in block.tuples()]

    def stream_native(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> Iterator[NativeBlock]:
        with _raised_as(query_error):
            answer: Any = self._client.raw_stream(
                sql,
                dict(params or {}),
                settings=dict(settings or {}),
                transport_settings=_default_format("Native"),
            )
            chunks = _Chunks(answer)
            try:
                yield from read_blocks(chunks)
            except StoreError as error:
                # An error in the middle of an answer arrives as text behind the blocks.
                raise chunks.failure() or error from None
            finally:
                answer.close()

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
        if readonly or project is not None:
            return b"".join(self.stream_raw(sql, fmt, params, settings, project=project))
        with _raised_as(query_error):
            answer: bytes = self._client.raw_query(
                sql,
                dict(params or {}),
                settings=dict(settings or {}),
                transport_settings=_default_format(fmt),
            )
        return answer

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
        if project is not None:
            # The views of tenants need row policies, and a policy on a table can take its rows from
            # every user of the server that has none.
            raise StoreError(
                "SQL with the key of one project needs the embedded store: use an admin key, or "
                "ask ClickHouse as a user with row policies of your own",
                code=_ACCESS_DENIED,
                blames_query=True,
            )
        statement = judged(sql, self._canonical)
        given = analyst_settings(settings, self._view_settings, streams=True)
        if revision:
            given["client_protocol_version"] = revision
        with _raised_as(query_error):
            answer: Any = self._client.raw_stream(
                statement,
                {name: _plain(value) for name, value in (params or {}).items()},
                settings=given,
                transport_settings=_default_format(fmt),
            )
            chunks = _Chunks(answer)
            try:
                yield from chunks
            except HTTPError as error:
                # An error in the middle of an answer: its text, and then no proper end.
                raise chunks.failure() or query_error(str(error)) from error
            finally:
                answer.close()

    def create_tenant_views(self) -> None:
        """None here: see `query_raw`."""

    def _canonical(self, text: str) -> str:
        return str(self.query(FORMAT_QUERY, {"text": text})[0][0])

    def _known(self, settings: Mapping[str, Setting]) -> dict[str, Setting]:
        """Those of SETTINGS that this server has; an older one answers the same, more slowly."""
        rows = self.query(
            "SELECT name FROM system.settings WHERE name IN {names:Array(String)}",
            {"names": list(settings)},
        )
        names = {name for (name,) in rows}
        return {name: value for name, value in settings.items() if name in names}

    # --- the end ---

    def before_close(self, call: Callable[[], None]) -> None:
        """CALL runs when the store closes, while it can still be used."""
        self._before_close.append(call)

    def close(self) -> None:
        while self._before_close:
            self._before_close.pop()()
        self._staging.close()
        self._client.close()


class _Chunks:
    """The bytes of an answer, with the last of them at hand."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._answer.read(_CHUNK):
            self._last = self._last[-_CHUNK:] + chunk if len(chunk) < _CHUNK else chunk
            yield chunk

    def failure(self) -> StoreError | None:
        """What the server wrote instead of the rest, if it did."""
        for _ in self:
            pass
        at = self._last.rfind(b"Code: ")
        if at < 0 or b"DB::Exception" not in self._last[at:]:
            return None
        return query_error(self._last[at:].decode("utf-8", "replace"))


def _plain(value: Param) -> Param:
    """What clickhouse-connect puts into ClickHouse's notation once more."""
    return unescaped(value) if isinstance(value, Escaped) else value


def _default_format(fmt: str) -> dict[str, str]:
    """As a header, so that a FORMAT clause in the text wins."""
    return {"X-ClickHouse-Format": checked_name("format", fmt)}


@contextmanager
def _raised_as(kind: Callable[[str], StoreError], what: str = "") -> Iterator[None]:
    """Errors of the driver become StoreErrors."""
    try:
        yield
    except (ClickHouseError, HTTPError) as error:
        raise kind(f"{what}: {error}" if what else str(error)) from error
