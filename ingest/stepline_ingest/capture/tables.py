"""The SQL of contexts and console lines."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepline_ingest.store.contract import Store
from stepline_ingest.writers import Binding

_CONTEXT_COLUMNS = ("run", "attempt", "rank", "part", "writer", "content", "version")
_CONSOLE_COLUMNS = (
    *("run", "attempt", "rank", "writer", "line", "ordinal"),
    *("stream", "open", "time", "text"),
)
_CONTEXT = """
SELECT attempt, rank, part, content FROM raw_contexts FINAL
WHERE run = {run:UInt64} AND attempt = {attempt:UInt32}
    AND (empty({ranks:Array(UInt32)}) OR has({ranks:Array(UInt32)}, rank))
    AND (empty({parts:Array(String)}) OR has({parts:Array(String)}, part))
ORDER BY rank, part LIMIT {limit:UInt64}
"""
_NEWEST_CONTEXT = "SELECT max(attempt) FROM raw_contexts WHERE run = {run:UInt64}"
_NEWEST_CONSOLE = """
SELECT max(attempt) FROM raw_console WHERE run = {run:UInt64} AND rank = {rank:UInt32}
"""
_PLACE = "run = {run:UInt64} AND attempt = {attempt:UInt32} AND rank = {rank:UInt32}"
_CONTAINS = "({contains:String} = '' OR position(text, {contains:String}) > 0)"
_COLUMNS = "writer, line, ordinal, stream, open, time, text"
_LINES = f"""
SELECT {_COLUMNS} FROM raw_console FINAL WHERE {_PLACE} AND {_CONTAINS}
    AND ordinal > arrayConcat([0], {{marks:Array(UInt64)}})[indexOf({{writers:Array(UInt128)}}, writer) + 1]
ORDER BY writer, ordinal LIMIT {{limit:UInt64}}
"""  # noqa: E501, S608 (constants)
_TAIL = f"""
SELECT {_COLUMNS} FROM
(
    SELECT {_COLUMNS} FROM raw_console FINAL WHERE {_PLACE} AND {_CONTAINS}
    ORDER BY writer DESC, line DESC LIMIT {{limit:UInt64}}
) ORDER BY writer, line
"""  # noqa: S608 (constants)
_MARKS = f"SELECT writer, max(ordinal) FROM raw_console WHERE {_PLACE} GROUP BY writer"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRow:
    """A part of the context of a process."""

    binding: Binding
    part: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRow:
    """A state of a line."""

    binding: Binding
    line: int
    ordinal: int
    stream: int
    open: bool
    time_ms: int
    text: str


Line = tuple[bytes, int, int, int, bool, int, str]
"""(writer, line, ordinal, stream, open, time in ms, text)"""
Marks = Mapping[bytes, int]
"""Writer -> the ordinal up to which its states are known."""


class CaptureTables:
    """Every method blocks, raises StoreError, and may be repeated without harm."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_contexts(self, rows: Sequence[ContextRow]) -> None:
        version = time.time_ns()
        self._store.insert_rows(
            "raw_contexts",
            _CONTEXT_COLUMNS,
            [
                (
                    *_key(row.binding),
                    row.part,
                    _number(row.binding.writer),
                    row.content,
                    version + n,
                )
                for n, row in enumerate(rows)
            ],
        )

    def put_lines(self, rows: Sequence[ConsoleRow]) -> None:
        self._store.insert_rows(
            "raw_console",
            _CONSOLE_COLUMNS,
            [
                (
                    *_key(row.binding),
                    *(_number(row.binding.writer), row.line, row.ordinal),
                    *(row.stream, row.open, row.time_ms, row.text),
                )
                for row in rows
            ],
        )

    def context(
        self, run: int, attempt: int, ranks: Sequence[int], parts: Sequence[str], limit: int
    ) -> list[tuple[int, int, str, str]]:
        """(attempt, rank, part, content); of the newest attempt when ATTEMPT is 0."""
        wanted = attempt or self._newest(_NEWEST_CONTEXT, run=run)
        params = {"run": run, "attempt": wanted, "ranks": list(ranks), "parts": list(parts)}
        return [
            (number, rank, part, content)
            for number, rank, part, content in self._rows(_CONTEXT, {**params, "limit": limit})
        ]

    def newest_console(self, run: int, rank: int) -> int:
        """The newest attempt in which RANK printed anything; 0 when there is none."""
        return self._newest(_NEWEST_CONSOLE, run=run, rank=rank)

    def lines(
        self, run: int, attempt: int, rank: int, *, marks: Marks, contains: str, limit: int
    ) -> list[Line]:
        """States beyond MARKS, by writer and ordinal."""
        params = _place(run, attempt, rank) | {
            "contains": contains,
            "limit": limit,
            "writers": [_number(writer) for writer in marks],
            "marks": list(marks.values()),
        }
        return [_line(row) for row in self._rows(_LINES, params)]

    def tail(self, run: int, attempt: int, rank: int, *, contains: str, limit: int) -> list[Line]:
        """The last lines, by writer and line."""
        params = _place(run, attempt, rank) | {"contains": contains, "limit": limit}
        return [_line(row) for row in self._rows(_TAIL, params)]

    def marks(self, run: int, attempt: int, rank: int) -> dict[bytes, int]:
        """How far each writer is."""
        found = self._rows(_MARKS, _place(run, attempt, rank))
        return {writer.to_bytes(16, "big"): ordinal for writer, ordinal in found}

    def _newest(self, sql: str, **params: int) -> int:
        found = self._rows(sql, params)
        return int(found[0][0] or 0) if found else 0

    def _rows(self, sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._store.query(sql, params)


def _key(binding: Binding) -> tuple[int, int, int]:
    return binding.run, binding.attempt, binding.rank


def _place(run: int, attempt: int, rank: int) -> dict[str, Any]:
    return {"run": run, "attempt": attempt, "rank": rank}


def _number(writer: bytes) -> int:
    return int.from_bytes(writer, "big")


def _line(row: tuple[Any, ...]) -> Line:
    writer, line, ordinal, stream, open_, time_ms, text = row
    return writer.to_bytes(16, "big"), line, ordinal, stream, bool(open_), time_ms, text
