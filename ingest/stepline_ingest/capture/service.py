"""stepline.v1.Capture: contexts and console lines. Every call may be repeated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import grpc

from stepline import _core
from stepline_ingest import run_request
from stepline_ingest.answering import answered
from stepline_ingest.capture.tables import CaptureTables, ConsoleRow, ContextRow, Line, Marks
from stepline_ingest.coalesce import Coalescer
from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.gen.stepline.v1 import capture_pb2, capture_pb2_grpc, ingest_pb2
from stepline_ingest.json_texts import whole_text
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.writers import Binding

Result = TypeVar("Result")

_CONTROL = dict.fromkeys((*range(9), *range(10, 32), 127, *range(128, 160)))
"""All but the tab: text that was printed must not drive the terminal of who reads it."""
_MOST_ORDINAL = 2**63 - 1
_MARK_BYTES = 56
"""Of a writer in a cursor: 32 digits, the ordinal, and what is around them."""
_CURSOR_BYTES = 16
"""Of what else is in it."""


class CaptureService(capture_pb2_grpc.CaptureServicer):
    """BIND checks the place of a writer and remembers it, as for a stream of points."""

    def __init__(
        self,
        tables: CaptureTables,
        runs: RunsRepository,
        limits: Limits,
        executor: Executor,
        *,
        bind: Callable[[ingest_pb2.Hello], Awaitable[Binding]],
    ) -> None:
        self._tables = tables
        self._runs = runs
        self._limits = limits
        self._executor = executor
        self._bind = bind
        self._contexts = Coalescer(self._put_contexts, max_rows=100)
        self._lines = Coalescer(self._put_lines, max_rows=1_000)

    @answered
    async def PutContext(
        self, request: capture_pb2.PutContextRequest
    ) -> capture_pb2.PutContextReply:
        part, content = request.part, request.content_json
        if not part or len(part.encode()) > 64:
            raise invalid(f"part {part[:80]!r}: name it with 1 to 64 bytes")
        if len(content.encode()) > self._limits.max_context_bytes:
            raise invalid(
                f"the part {part} has {len(content.encode())} bytes, "
                f"{self._limits.max_context_bytes} are allowed: cut it"
            )
        run_request.json_object(part, content, self._limits)
        place = await self._bind(_hello(request))
        row = ContextRow(binding=place, part=part, content=whole_text(content))
        await self._contexts.add(row)
        return capture_pb2.PutContextReply()

    @answered
    async def GetContext(
        self, request: capture_pb2.GetContextRequest
    ) -> capture_pb2.GetContextReply:
        most = self._limits.max_context_parts
        if len(request.parts) > most:
            raise invalid(f"{len(request.parts)} parts, {most} are allowed: name fewer, or none")
        run = await self._run(request.run_id)
        ranks = [request.rank] if request.HasField("rank") else []
        found = await self._blocking(
            lambda: self._tables.context(run, request.attempt, ranks, list(request.parts), most)
        )
        return capture_pb2.GetContextReply(
            parts=[
                capture_pb2.ContextPart(attempt=attempt, rank=rank, part=part, content_json=content)
                for attempt, rank, part, content in found
            ]
        )

    @answered
    async def AppendConsole(
        self, request: capture_pb2.AppendConsoleRequest
    ) -> capture_pb2.AppendConsoleReply:
        if len(request.lines) > self._limits.max_console_lines:
            raise invalid(
                f"{len(request.lines)} lines, {self._limits.max_console_lines} are allowed: send "
                "them in several requests"
            )
        for line in request.lines:
            if len(line.text.encode()) > self._limits.max_console_line_bytes:
                raise invalid(
                    f"line {line.line} has {len(line.text.encode())} bytes, "
                    f"{self._limits.max_console_line_bytes} are allowed: cut it"
                )
            if not 0 <= line.stream < 256:
                raise invalid(
                    f"line {line.line} has the stream {line.stream}: give one of ConsoleStream"
                )
            if line.ordinal > _MOST_ORDINAL:
                raise invalid(
                    f"line {line.line} has the ordinal {line.ordinal}: count the states of lines "
                    f"from 1 on, up to {_MOST_ORDINAL}"
                )
        place = await self._bind(_hello(request))
        if request.lines:
            # In a thread: much text takes a while.
            await self._lines.add(
                await self._blocking(lambda: [_row(place, line) for line in request.lines])
            )
        return capture_pb2.AppendConsoleReply()

    @answered
    async def ReadConsole(
        self, request: capture_pb2.ReadConsoleRequest
    ) -> capture_pb2.ReadConsoleReply:
        longest = _CURSOR_BYTES + _MARK_BYTES * self._limits.max_console_writers
        if len(request.cursor) > longest:
            # The service gives no such cursor, and all others would wait while it is parsed.
            raise invalid(
                f"the cursor has {len(request.cursor):,} bytes, those of earlier replies have at "
                f"most {longest:,}: begin without one"
            )
        run = await self._run(request.run_id)
        most = self._limits.max_console_lines
        limit = min(request.limit or most, most)
        return await self._blocking(lambda: self._read(request, run, limit))

    def _read(
        self, request: capture_pb2.ReadConsoleRequest, run: int, limit: int
    ) -> capture_pb2.ReadConsoleReply:
        cursor_attempt, marks = _parse_cursor(request.cursor)
        rank, contains = request.rank, request.contains
        attempt = request.attempt or cursor_attempt or self._tables.newest_console(run, rank)
        if request.tail and not request.cursor:
            # Before the lines: what comes between the two is read again, not missed.
            marks = self._tables.marks(run, attempt, rank)
            tail = min(request.tail, limit)
            lines = self._tables.tail(run, attempt, rank, contains=contains, limit=tail)
            return self._reply(lines, attempt, marks, more=False)
        lines = self._tables.lines(
            run, attempt, rank, marks=marks, contains=contains, limit=limit + 1
        )
        shown = lines[:limit]
        reached = dict(marks)
        for writer, _, ordinal, *_ in shown:
            reached[writer] = max(ordinal, reached.get(writer, 0))
        return self._reply(shown, attempt, reached, more=len(lines) > limit)

    def _reply(
        self, lines: Iterable[Line], attempt: int, marks: Marks, *, more: bool
    ) -> capture_pb2.ReadConsoleReply:
        most = self._limits.max_console_writers
        if len(marks) > most:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"more than {most:,} processes printed as this rank in attempt {attempt}, and are "
                "not read page by page: look for single lines with `contains`",
                refusal=Refusal.TOO_LARGE,
            )
        return _reply(lines, attempt, marks, more=more)

    async def _run(self, run_id: str) -> int:
        run_request.check_run_id(run_id)
        async with self._runs.lock(run_id):
            await self._runs.require(run_id)
        return _core.siphash64(run_id)

    async def _put_contexts(self, rows: Sequence[ContextRow]) -> None:
        await self._blocking(lambda: self._tables.put_contexts(rows))

    async def _put_lines(self, batches: Sequence[list[ConsoleRow]]) -> None:
        rows = [row for batch in batches for row in batch]
        await self._blocking(lambda: self._tables.put_lines(rows))

    async def _blocking(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _hello(
    request: capture_pb2.PutContextRequest | capture_pb2.AppendConsoleRequest,
) -> ingest_pb2.Hello:
    """The place that REQUEST claims for its writer."""
    return ingest_pb2.Hello(
        run_id=request.run_id, attempt=request.attempt, rank=request.rank, writer=request.writer
    )


def _row(place: Binding, line: capture_pb2.ConsoleLine) -> ConsoleRow:
    return ConsoleRow(
        binding=place,
        line=line.line,
        ordinal=line.ordinal,
        stream=line.stream,
        open=line.open,
        time_ms=line.time_ms,
        text=line.text.translate(_CONTROL),
    )


def _reply(
    lines: Iterable[Line], attempt: int, marks: Marks, *, more: bool
) -> capture_pb2.ReadConsoleReply:
    return capture_pb2.ReadConsoleReply(
        lines=[
            capture_pb2.ConsoleLine(
                writer=writer,
                line=line,
                ordinal=ordinal,
                stream=stream,  # type: ignore[arg-type]
                open=open_,
                time_ms=time_ms,
                text=text,
            )
            for writer, line, ordinal, stream, open_, time_ms, text in lines
        ],
        cursor=_cursor(attempt, marks),
        more=more,
        attempt=attempt,
    )


def _cursor(attempt: int, marks: Marks) -> bytes:
    known = {writer.hex(): ordinal for writer, ordinal in marks.items()}
    return json.dumps([attempt, known], separators=(",", ":")).encode()


def _parse_cursor(cursor: bytes) -> tuple[int, dict[bytes, int]]:
    if not cursor:
        return 0, {}
    try:
        attempt, known = json.loads(cursor)
        marks = {bytes.fromhex(writer): ordinal for writer, ordinal in known.items()}
        numbers = [attempt, *marks.values()]
        if not all(type(n) is int and 0 <= n < 2**64 for n in numbers) or attempt >= 2**32:
            raise ValueError
        if not all(len(writer) == 16 for writer in marks):
            raise ValueError
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise invalid("the cursor is not one of an earlier reply: begin without one") from None
    return attempt, marks
