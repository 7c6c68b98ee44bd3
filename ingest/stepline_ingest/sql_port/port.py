"""Asks the store and answers."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field

from aiohttp import web

from stepline_ingest import access
from stepline_ingest.http_port import write_to
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import QueryKind, Refusal, metrics
from stepline_ingest.query.ask import Transform, asked
from stepline_ingest.query.failure import ACCESS_DENIED, refusal_of_query
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError, kind_of, without_query

from .packing import packed_as, packing_of
from .question import SYNTAX_ERROR, Question, question_of

log = logging.getLogger(__name__)

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
_UNKNOWN = 1002
_HELD = 1 << 20
"""Bytes of an answer that wait for what comes behind them: an error that comes so early still gets
a status of its own."""
_QUERY_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_NAME = "stepline"
_TOLD = 4096
"""Characters of an error."""


class SqlPort:
    """What the port answers."""

    def __init__(self, store: Store, executor: Executor, limits: Limits) -> None:
        self._store = store
        self._executor = executor
        self._limits = limits
        self._timezone = ""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=self._limits.max_form_bytes)
        for path in ("/ping", "/replicas_status"):
            app.router.add_get(path, self._ping)
        app.router.add_route("GET", "/", self._query)
        app.router.add_route("POST", "/", self._query)
        return app

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html")

    async def _query(self, request: web.Request) -> web.StreamResponse:
        headers = await self._headers(request)
        try:
            question = await asyncio.wait_for(
                question_of(request, self._limits), self._limits.http_patience
            )
        except (UnicodeDecodeError, web.HTTPRequestEntityTooLarge):
            return _failure(
                400,
                SYNTAX_ERROR,
                f"the request is no UTF-8 text of at most {self._limits.max_form_bytes} bytes: "
                "shorten it",
                headers,
            )
        except asyncio.TimeoutError:
            return _failure(408, SYNTAX_ERROR, "the query did not arrive: send it faster", headers)
        except StoreError as error:
            return _refusal(error, headers)
        if not question.sql.strip():
            # What a ClickHouse server says to a GET without a query; probes look for it.
            return web.Response(text="Ok.\n", content_type="text/html", headers=headers)
        packing = packing_of(request)
        if packing is not None:
            headers["Content-Encoding"] = packing
        begun = time.monotonic()
        ending = _Ending(question.fmt)
        pieces = self._asked(question, ending, packed_as(packing) if packing else None)
        try:
            async with aclosing(pieces):
                return await self._answer(request, headers, ending, pieces)
        except StoreError as error:
            headers.pop("Content-Encoding", None)
            return _refusal(error, headers)
        finally:
            metrics.queried(QueryKind.SQL_HTTP, time.monotonic() - begun)

    def _asked(
        self, question: Question, ending: _Ending, pack: Transform | None
    ) -> AsyncGenerator[bytes, None]:
        """The answer; an error in its middle becomes its last piece."""

        def told(pieces: Iterator[bytes]) -> Iterator[bytes]:
            size = 0
            try:
                for piece in pieces:
                    yield piece
                    size += len(piece)
            except StoreError as error:
                if size <= _HELD:
                    raise
                log.info("a query failed in the middle of its answer: %s", kind_of(error))
                metrics.refused(refusal_of_query(error))
                ending.broken = True
                yield _told_within(error, ending.tag)

        return asked(
            self._store,
            self._executor,
            question.sql,
            question.fmt,
            question.params,
            question.settings,
            project=access.project(),
            counted=ending.count,
            named=ending.name,
            revision=question.revision,
            transform=lambda pieces: pack(told(pieces)) if pack else told(pieces),
        )

    async def _answer(
        self,
        request: web.Request,
        headers: dict[str, str],
        ending: _Ending,
        pieces: AsyncGenerator[bytes, None],
    ) -> web.StreamResponse:
        """Raises StoreError as long as nothing was sent."""
        held: list[bytes] = []
        whole = True
        async for piece in pieces:
            held.append(piece)
            if sum(map(len, held)) > _HELD:
                whole = False
                break
        headers |= {
            "Content-Type": _CONTENT_TYPES.get(ending.fmt, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Format": ending.fmt,
            "X-ClickHouse-Summary": ending.summary,
        }
        if whole:
            return web.Response(body=b"".join(held), headers=headers)
        response = web.StreamResponse(headers=headers | {"X-ClickHouse-Exception-Tag": ending.tag})
        await response.prepare(request)
        await write_to(request, response, b"".join(held), self._limits)
        held.clear()
        async for piece in pieces:
            await write_to(request, response, piece, self._limits)
        if ending.broken:
            # Without the end that HTTP asks for, so that nobody takes it for whole.
            request.protocol.force_close()
            return response
        await response.write_eof()
        return response

    async def _headers(self, request: web.Request) -> dict[str, str]:
        """Of every answer."""
        wanted = request.query.get("query_id", "")
        return {
            "X-ClickHouse-Query-Id": wanted if _QUERY_ID.fullmatch(wanted) else str(uuid.uuid4()),
            "X-ClickHouse-Server-Display-Name": _NAME,
            "X-ClickHouse-Timezone": await self._zone(),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }

    async def _zone(self) -> str:
        if not self._timezone:
            rows = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._store.query, "SELECT timezone()"
            )
            self._timezone = str(rows[0][0])
        return self._timezone


@dataclass(slots=True)
class _Ending:
    """What is known of an answer once it was begun, and how it ends."""

    fmt: str
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    """Tells an error behind rows from rows."""
    broken: bool = False
    """An error was told as the last piece."""
    rows: int = 0
    """Given so far."""

    def count(self, rows: int) -> None:
        self.rows += rows

    def name(self, fmt: str) -> None:
        self.fmt = fmt

    @property
    def summary(self) -> str:
        """Of what is known when the headers go: all of a small answer, the begin of a large one."""
        counts = dict.fromkeys(("read_rows", "result_rows"), str(self.rows))
        others = ("read_bytes", "written_rows", "written_bytes", "total_rows_to_read")
        return json.dumps({**counts, **dict.fromkeys(others, "0")})


def _told_within(error: StoreError, tag: str) -> bytes:
    """What ClickHouse writes behind the rows of an answer that breaks off."""
    message = f"Code: {error.code or _UNKNOWN}. DB::Exception: {str(error)[:_TOLD]}\n".encode()
    return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )


def _refusal(error: StoreError, headers: dict[str, str]) -> web.Response:
    """The status that a ClickHouse server would give."""
    refusal = refusal_of_query(error)
    message = str(error)
    if refusal is Refusal.QUERY_LIMIT:
        message += "; ask for less at a time"
    if error.blames_query:
        status = 403 if refusal is Refusal.DENIED else 400
        return _failure(status, error.code or ACCESS_DENIED, message, headers, refusal)
    log.warning("a query failed: %.1000s", without_query(error))
    return _failure(500, error.code or _UNKNOWN, message, headers, refusal)


def _failure(
    status: int,
    code: int,
    message: str,
    headers: dict[str, str],
    refusal: Refusal = Refusal.INVALID,
) -> web.Response:
    metrics.refused(refusal)
    # The engine repeats a query that it cannot read, however long that is.
    message = message if len(message) <= _TOLD else message[: _TOLD - 3] + "..."
    text = message if message.startswith("Code:") else f"Code: {code}. DB::Exception: {message}"
    return web.Response(
        status=status,
        text=text + "\n",
        headers={
            **{name: value for name, value in headers.items() if name != "Content-Type"},
            "X-ClickHouse-Exception-Code": str(code),
        },
    )
