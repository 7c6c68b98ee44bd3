"""The store in this process: chDB over a directory."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from .analyst import FORMAT_QUERY, analyst_settings, can_stream, judged
from .cancel import CANCEL
from .engine_config import ANALYST_ROLE, write_config
from .errors import StoreError, insert_error, query_error, split, unusable
from .expired import Expired
from .formats import STREAMED, WITH_HEADER, check_format, split_format
from .gate import Gate
from .inserts import (
    POINTS_COLUMNS,
    POINTS_TABLE,
    Tables,
    check_block,
    points_settings,
    rows_settings,
)
from .lock import DirectoryLock
from .memo import Memo
from .native import NativeBlock, read_blocks
from .native_revision import for_revision
from .params import (
    Param,
    Setting,
    checked_name,
    encode_params,
    settings_clause,
    settings_list,
)
from .pool import Pool
from .snapshot import Snapshot, detached, freeze, unfreeze
from .staging import StagedBlock, Staging
from .tenants import TENANT_ROLE, create_views, tenant_database, tenant_settings

log = logging.getLogger(__name__)

DATABASE = "stepline"
PART_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)

_PIECE = 1 << 20
_ROWS_CAPACITY = 32 << 20
_CLOSE_PATIENCE = 20.0
"""Seconds that running calls get when the store closes."""


class EmbeddedStore:
    """chDB over a directory, which this process owns from now on."""

    kind = "chdb"
    cluster = None

    def __init__(self, directory: Path, *, database: str = DATABASE) -> None:
        directory = directory.resolve()
        if "?" in str(directory):
            raise StoreError(
                f"{directory}: chDB takes no path with '?', choose another data directory"
            )
        self._lock = DirectoryLock(directory)
        self._database = database
        self._engine = directory / "chdb"
        self._writes = Gate()
        self.memo = Memo(trusted=True)
        self.rows_memo = Memo(trusted=True, capacity=_ROWS_CAPACITY)
        self.expired = Expired(self.query)
        try:
            self._staging = Staging(directory)
            config = write_config(directory, database)
            self._folder = _open_folder(directory)
        except OSError as error:
            self._lock.release()
            raise unusable(Path(error.filename or directory), error) from error
        self._target = f"{self._engine}?config-file={self._folder.path / config.name}"
        self._pool = Pool(self._connect)
        self._tables = Tables(self.query)
        self._before_close: list[Callable[[], None]] = []
        self._root: Any = None
        try:
            # The engine lives from its first connection to its last; this one spans the life of the
            # store.
            self._root = _connect(self._target)
            with _raised_as(_no_start):
                for name in (database, tenant_database(database)):
                    self._root.query(f"CREATE DATABASE IF NOT EXISTS {name}")
        except StoreError:
            if self._root is not None:
                self._root.close()
            self._folder.close()
            self._lock.release()
            raise

    def end_orphans(self) -> None:
        """There are none: the engine ends with its process."""

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
        settings = points_settings(token)
        try:
            if isinstance(block, StagedBlock):
                self._insert(POINTS_TABLE, POINTS_COLUMNS, block, settings)
                return
            with self._staging.stage_pieces(block, rows) as staged:
                self._insert(POINTS_TABLE, POINTS_COLUMNS, staged, settings)
        finally:
            # Also after a failure: the rows may be there.
            self.memo.changed(runs)

    def holding_inserts(self) -> AbstractContextManager[None]:
        return self._writes.closed()

    def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        if rows:
            block = self._tables.block(table, columns, rows)
            try:
                with self._staging.stage_pieces([block], len(rows)) as staged:
                    self._insert(table, columns, staged, rows_settings())
            finally:
                self.rows_memo.changed()

    def _insert(
        self,
        table: str,
        columns: Sequence[str],
        block: StagedBlock,
        settings: Mapping[str, Setting],
    ) -> None:
        names = ", ".join(checked_name("column", name) for name in columns)
        with (
            self._writes.passing(),
            self._pool.connection() as connection,
            _raised_as(insert_error),
        ):
            connection.query(
                f"INSERT INTO {table} ({names}) FROM INFILE '{block.path}' COMPRESSION 'none'"
                f"{settings_clause(settings)} FORMAT Native"
            )

    def command(
        self,
        sql: str,
        settings: Mapping[str, Setting] | None = None,
        *,
        points: bool = True,
    ) -> None:
        try:
            with self._pool.connection() as connection, _raised_as(query_error):
                connection.query(sql + settings_clause(settings))
        finally:
            self.rows_memo.changed()
            if points:
                self.memo.changed()

    # --- reading ---

    def query(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> list[tuple[object, ...]]:
        raw = self.query_raw(sql, "Native", params, settings, readonly=False)
        return [row for block in read_blocks([raw]) for row in block.tuples()]

    def stream_native(
        self,
        sql: str,
        params: Mapping[str, Param] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> Iterator[NativeBlock]:
        with self._pool.connection() as connection, _raised_as(query_error):
            stream = connection.send_query(
                sql + settings_clause(settings), "Native", encode_params(params)
            )
            try:
                yield from read_blocks(chunk.bytes() for chunk in stream)
            finally:
                stream.close()

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
        fmt = checked_name("format", fmt)
        with self._pool.connection() as connection, _raised_as(query_error):
            result = connection.query(sql + settings_clause(settings), fmt, encode_params(params))
            return bytes(result.bytes())

    def cancel(self, mark: str) -> None:
        self.query(CANCEL, {"mark": mark})

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
        statement = judged(sql, self._canonical, tenant=project is not None)
        bare, fmt = split_format(statement, checked_name("format", fmt))
        if named is not None:
            named(fmt)
        check_format(fmt)
        streams = fmt in STREAMED and can_stream(statement)
        given = analyst_settings(settings, streams=streams)
        if project is not None:
            given |= tenant_settings(project)
        with self._pool.connection(keep=False) as connection, _raised_as(query_error):
            if project is not None:
                connection.query(f"USE {tenant_database(self._database)}")
            connection.query(f"SET ROLE {ANALYST_ROLE if project is None else TENANT_ROLE}")
            connection.query("SET " + settings_list(given))
            ask = _streamed if streams else _held
            # A stream that is still open when its connection is closed never ends.
            with closing(ask(connection, bare, fmt, encode_params(params), counted)) as pieces:
                yield from for_revision(pieces, fmt, revision, whole=streams)

    def create_tenant_views(self) -> None:
        """For SQL of one project; once the tables are there."""
        create_views(self, self._database)

    def _canonical(self, text: str) -> str:
        return str(self.query(FORMAT_QUERY, {"text": text})[0][0])

    # --- the parts as files ---

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """All tables of one instant. Inserts wait while it is taken, not while it is used."""
        try:
            with self._writes.closed():
                taken = freeze(self._engine, self.query, self.command)
            yield taken
        finally:
            unfreeze(self._engine)

    def attach_part(self, table: str, name: str, bring: Callable[[Path], None]) -> None:
        """Adds a part that BRING writes into a folder."""
        if not PART_NAME.fullmatch(name):
            raise StoreError(f"{name!r} is no name of a part")
        bring(detached(self._engine, self.query, checked_name("table", table)) / name)
        self.command(f"ALTER TABLE {table} ATTACH PART '{name}'")

    # --- the end ---

    def before_close(self, call: Callable[[], None]) -> None:
        """CALL runs when the store closes, while it can still be used."""
        self._before_close.append(call)

    def close(self) -> None:
        while self._before_close:
            self._before_close.pop()()
        root, self._root = self._root, None
        if root is None:
            return
        # What still reads is cut off; what inserts is waited for.
        with _raised_as(query_error):
            root.query("KILL QUERY WHERE query_kind = 'Select' ASYNC")
        if not self._pool.close(_CLOSE_PATIENCE):
            log.warning("calls at the store still run after %.0f s", _CLOSE_PATIENCE)
        self._staging.close()
        root.close()
        self._folder.close()
        self._lock.release()

    def _connect(self) -> Any:
        connection = _connect(self._target)
        connection.query(f"USE {self._database}")
        return connection


Counted: TypeAlias = "Callable[[int], None] | None"


def _held(
    connection: Any, sql: str, fmt: str, params: dict[str, str], counted: Counted
) -> Generator[bytes, None, None]:
    """The answer, made in memory before any of it is given."""
    result = connection.query(sql, fmt, params)
    if counted is not None:
        counted(result.rows_read())
    view = memoryview(result.bytes())
    for begin in range(0, len(view), _PIECE):
        yield bytes(view[begin : begin + _PIECE])


def _streamed(
    connection: Any, sql: str, fmt: str, params: dict[str, str], counted: Counted
) -> Generator[bytes, None, None]:
    """The answer while it is made; see formats.py."""
    header = b""
    if fmt in WITH_HEADER:
        header = bytes(connection.query(f"SELECT * FROM ({sql}) LIMIT 0", fmt, params).bytes())  # noqa: S608
        yield header
    stream = connection.send_query(sql, fmt, params)
    try:
        for chunk in stream:
            if counted is not None:
                counted(chunk.rows_read())
            piece: bytes = chunk.bytes()
            yield piece[len(header) :] if header else piece
    finally:
        stream.close()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory by a path of letters, digits and slashes only. chDB decodes what follows the "?"
    of a target as a URL, and reads no configuration at all from a path with "%", "&" or "+".
    """

    path: Path
    descriptor: int | None

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def _open_folder(directory: Path) -> _Folder:
    if not Path("/proc/self/fd").is_dir():
        if any(character in str(directory) for character in "%&+"):
            raise StoreError(
                f"{directory}: chDB takes no path with '%', '&' or '+' here, "
                "choose another data directory"
            )
        return _Folder(directory, None)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    return _Folder(Path(f"/proc/self/fd/{descriptor}"), descriptor)


def _connect(target: str) -> Any:
    # Imported late: the engine is a library of half a gigabyte that a service on a server does
    # without.
    import chdb

    engine: Any = chdb
    with _raised_as(_no_start):
        return engine.connect(target)


def _no_start(text: str) -> StoreError:
    """The engine raised TEXT before anything could be asked of it. One line."""
    told = " ".join(split(text)[1].split())
    return StoreError(
        f"the embedded engine does not start ({told}): run this as the user of the service, or "
        "restore a backup if files below the data directory are damaged"
    )


@contextmanager
def _raised_as(kind: Callable[[str], StoreError]) -> Iterator[None]:
    """Errors of chDB become StoreErrors."""
    import chdb

    try:
        yield
    except (chdb.ChdbError, RuntimeError, UnicodeDecodeError) as error:
        raise kind(_engine_text(error)) from error


def _engine_text(error: Exception) -> str:
    """What the engine said. It may quote a value that is not UTF-8: what chDB raises then is that
    it cannot decode the text, which the exception has in bytes."""
    for raised in (error, error.__cause__):
        if isinstance(raised, UnicodeDecodeError) and b"Code: " in raised.object:
            return bytes(raised.object).decode("utf-8", "replace")
    return str(error)
