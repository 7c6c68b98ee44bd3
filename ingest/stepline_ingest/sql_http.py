"""The SQL port: the part of ClickHouse's HTTP interface that reads.

Query in the body or in `query`, format by a FORMAT clause, `default_format` or X-ClickHouse-Format,
parameters as `param_NAME`. `database` and whatever else tunes a server are ignored: the store sets
its own limits.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from concurrent.futures import Executor

from aiohttp import web

from stepline_ingest import access
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import QueryKind, metrics
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

DEFAULT_FORMAT = "TabSeparated"
PARAM = "param_"

_FORMAT_NAME = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
_CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "RowBinaryWithNamesAndTypes": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}
_SYNTAX_ERROR = 62
_ACCESS_DENIED = 497
_READONLY = 164
_UNKNOWN = 1002


class SqlPort:
    """What the port answers."""

    def __init__(self, store: Store, executor: Executor, limits: Limits) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits

    def app(self) -> web.Application:
        app = web.Application(client_max_size=self._limits.max_query_bytes)
        app.router.add_get("/ping", self._ping)
        app.router.add_route("GET", "/", self._query)
        app.router.add_route("POST", "/", self._query)
        return app

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html")

    async def _query(self, request: web.Request) -> web.Response:
        try:
            sql = await self._text(request)
        except (UnicodeDecodeError, web.HTTPRequestEntityTooLarge):
            return _failure(
                400,
                _SYNTAX_ERROR,
                f"the query is no UTF-8 text of at most {self._limits.max_query_bytes} bytes: "
                "shorten it",
            )
        if not sql.strip():
            # What a ClickHouse server says to a GET without a query; probes look for it.
            return web.Response(text="Ok.\n", content_type="text/html")
        fmt = (
            request.query.get("default_format")
            or request.headers.get("X-ClickHouse-Format")
            or DEFAULT_FORMAT
        )
        if not _FORMAT_NAME.fullmatch(fmt):
            return _failure(
                400, 73, f"{fmt[:80]!r} is no name of a format: use one such as JSONEachRow"
            )
        params = {
            name[len(PARAM) :]: unescaped(value)
            for name, value in request.query.items()
            if name.startswith(PARAM)
        }
        begun = time.monotonic()
        try:
            body = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._run, sql, fmt, params, access.project()
            )
        except StoreError as error:
            return _refusal(error)
        finally:
            metrics.queried(QueryKind.SQL_HTTP, time.monotonic() - begun)
        return web.Response(
            body=body,
            headers={
                "Content-Type": _CONTENT_TYPES.get(fmt, "text/plain; charset=UTF-8"),
                "X-ClickHouse-Format": fmt,
            },
        )

    async def _text(self, request: web.Request) -> str:
        """As ClickHouse does: the parameter first, then the body."""
        parts = [request.query.get("query", "")]
        if request.can_read_body:
            parts.append((await request.read()).decode())
        return "\n".join(part for part in parts if part)

    def _run(self, sql: str, fmt: str, params: Mapping[str, str], project: str | None) -> bytes:
        return self._store.query_raw(sql, fmt, params, readonly=True, project=project)


def unescaped(text: str) -> str:
    r"""The value of a parameter, which travels in the notation of a TabSeparated field (`\t`, `\n`,
    `\\`)."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)


def _refusal(error: StoreError) -> web.Response:
    """The status that a ClickHouse server would give. What the store refuses by itself, without a
    number of the engine, is a matter of rights."""
    if error.blames_query:
        code = error.code or _ACCESS_DENIED
        return _failure(403 if code in (_ACCESS_DENIED, _READONLY) else 400, code, str(error))
    log.warning("a query failed: %s", error)
    return _failure(500, error.code or _UNKNOWN, str(error))


def _failure(status: int, code: int, message: str) -> web.Response:
    text = message if message.startswith("Code:") else f"Code: {code}. DB::Exception: {message}"
    return web.Response(
        status=status, text=text + "\n", headers={"X-ClickHouse-Exception-Code": str(code)}
    )
