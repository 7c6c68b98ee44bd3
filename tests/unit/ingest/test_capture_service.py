"""Contexts and console lines: what was said last counts, and repeating it changes nothing."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from stepline._core import siphash64
from stepline_ingest.capture import CaptureService, CaptureTables, service
from stepline_ingest.capture.tables import ConsoleRow
from stepline_ingest.gen.stepline.v1 import capture_pb2, runs_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.store import Store, open_store
from stepline_ingest.writers import Binding
from tests.support.memory_runs import MemoryRunTables
from tests.support.run_process import Context, Process, Refused

LIMITS = replace(
    Limits(),
    max_context_bytes=500,
    max_console_line_bytes=100,
    max_console_lines=50,
    max_console_writers=2_000,
)
OUT = capture_pb2.CONSOLE_STREAM_OUT
_RUNS = itertools.count()


class Capture:
    """The service with one run that has two attempts of four ranks."""

    def __init__(self, store: Store) -> None:
        self.process = Process(MemoryRunTables(), LIMITS)
        self.service = CaptureService(
            CaptureTables(store),
            self.process.repository,
            LIMITS,
            ThreadPoolExecutor(2),
            bind=self.process.service.bind,
        )
        self.writer = os.urandom(16)
        self.run_id = f"r{next(_RUNS)}"

    async def begin(self) -> None:
        for launch in ("1", "2"):
            await self.process.create(
                run_id=self.run_id,
                launch_id=launch,
                world_size=4,
                resume=runs_pb2.RESUME_ALLOW,
                on_live=runs_pb2.ON_LIVE_TAKE_OVER,
            )

    async def put(self, part: str, content: Any, attempt: int = 1, rank: int = 0) -> None:
        place = {"run_id": self.run_id, "attempt": attempt, "rank": rank, "writer": os.urandom(16)}
        text = content if isinstance(content, str) else json.dumps(content)
        request = capture_pb2.PutContextRequest(**place, part=part, content_json=text)
        await self.service.PutContext(request, Context())

    async def get(self, **asked: Any) -> list[tuple[int, int, str, Any]]:
        request = capture_pb2.GetContextRequest(**{"run_id": self.run_id, **asked})
        reply = await self.service.GetContext(request, Context())
        return [(p.attempt, p.rank, p.part, json.loads(p.content_json)) for p in reply.parts]

    async def print(
        self, *lines: tuple[int, int, str], writer: bytes = b"", stream: Any = OUT, **more: Any
    ) -> None:
        """LINES are (line, ordinal, text)."""
        request = capture_pb2.AppendConsoleRequest(
            **{
                "run_id": self.run_id,
                "attempt": 1,
                "rank": 0,
                "writer": writer or self.writer,
                **more,
            },
            lines=[
                capture_pb2.ConsoleLine(
                    line=line, ordinal=ordinal, stream=stream, time_ms=7, text=text
                )
                for line, ordinal, text in lines
            ],
        )
        await self.service.AppendConsole(request, Context())

    async def read(self, **asked: Any) -> capture_pb2.ReadConsoleReply:
        request = capture_pb2.ReadConsoleRequest(**{"run_id": self.run_id, **asked})
        return await self.service.ReadConsole(request, Context())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests of this file: each has a run of its own."""
    store = open_store(None, tmp_path_factory.mktemp("store") / "data")
    yield store
    store.close()


@pytest.fixture
async def capture(embedded: Store) -> Capture:
    made = Capture(embedded)
    await made.begin()
    return made


def texts(reply: capture_pb2.ReadConsoleReply) -> list[str]:
    return [line.text for line in reply.lines]


async def test_the_last_word_about_a_part_counts(capture: Capture) -> None:
    assert await capture.get() == []
    await capture.put("git", {"commit": "old"})
    await capture.put("git", {"commit": "new"})
    await capture.put("machine", {"host": "b"}, rank=2)
    assert await capture.get() == [
        (1, 0, "git", {"commit": "new"}),
        (1, 2, "machine", {"host": "b"}),
    ]
    assert await capture.get(rank=2) == [(1, 2, "machine", {"host": "b"})]
    assert await capture.get(parts=["git"]) == [(1, 0, "git", {"commit": "new"})]


async def test_each_attempt_has_a_context_of_its_own(capture: Capture) -> None:
    for attempt in (1, 2):
        await capture.put("git", {"commit": attempt}, attempt=attempt)
    assert await capture.get() == [(2, 0, "git", {"commit": 2})]
    assert await capture.get(attempt=1) == [(1, 0, "git", {"commit": 1})]


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("", {}, "INVALID_ARGUMENT: part ''"),
        ("x" * 65, {}, "INVALID_ARGUMENT: part 'xxx"),
        ("git", "[]", "INVALID_ARGUMENT: git is JSON but no object"),
        ("git", "{", "INVALID_ARGUMENT: git is no JSON"),
        ("git", {"diff": "x" * 600}, "600|612|611.* bytes, 500 are allowed: cut it"),
    ],
)
async def test_what_is_no_part_is_refused(
    capture: Capture, part: str, content: Any, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        await capture.put(part, content)


async def test_lines_come_back_once_in_their_last_state(capture: Capture) -> None:
    await capture.print((1, 1, "10%"), (2, 2, "warning"), (1, 3, "20%"))
    await capture.print((1, 3, "20%"), (1, 4, "100%"))
    await capture.print((2, 2, "warning"), (1, 1, "10%"))  # an older state comes late
    reply = await capture.read()
    assert sorted(texts(reply)) == ["100%", "warning"]
    assert (reply.attempt, reply.more) == (1, False)


async def test_a_cursor_gives_what_changed_since(capture: Capture) -> None:
    await capture.print((1, 1, "a"), (2, 2, "10%"))
    first = await capture.read()
    assert texts(await capture.read(cursor=first.cursor)) == []
    await capture.print((2, 3, "20%"), (3, 4, "b"))
    other = os.urandom(16)
    await capture.print((1, 1, "of a child"), writer=other)
    second = await capture.read(cursor=first.cursor)
    assert sorted(texts(second)) == ["20%", "b", "of a child"]
    assert texts(await capture.read(cursor=second.cursor)) == []


async def test_many_lines_come_in_pages(capture: Capture) -> None:
    for start in range(1, 121, 40):
        await capture.print(*((n, n, f"line {n}") for n in range(start, start + 40)))
    found: list[str] = []
    reply = await capture.read()
    found += texts(reply)
    while reply.more:
        reply = await capture.read(cursor=reply.cursor)
        found += texts(reply)
    assert found == [f"line {n}" for n in range(1, 121)]


async def test_the_last_lines_and_what_follows_them(capture: Capture) -> None:
    await capture.print(*((n, n, f"line {n}") for n in range(1, 31)))
    tail = await capture.read(tail=3)
    assert texts(tail) == ["line 28", "line 29", "line 30"]
    await capture.print((31, 31, "line 31"))
    assert texts(await capture.read(cursor=tail.cursor)) == ["line 31"]
    assert texts(await capture.read(contains="ne 2", limit=2)) == ["line 2", "line 20"]


async def test_ranks_and_attempts_are_apart(capture: Capture) -> None:
    await capture.print((1, 1, "rank 0"))
    await capture.print((1, 1, "rank 1"), rank=1, writer=os.urandom(16))
    await capture.print((1, 1, "again"), attempt=2, writer=os.urandom(16))
    assert texts(await capture.read()) == ["again"]
    assert texts(await capture.read(attempt=1)) == ["rank 0"]
    assert texts(await capture.read(rank=1)) == ["rank 1"]
    assert texts(await capture.read(rank=3)) == []


async def test_text_cannot_drive_the_terminal_of_its_reader(capture: Capture) -> None:
    await capture.print((1, 1, "a\x1b[2J\tb\x07\r\nc\x9b"))
    assert texts(await capture.read()) == ["a[2J\tbc"]


async def test_what_is_no_line_is_refused(capture: Capture) -> None:
    with pytest.raises(Refused, match="51 lines, 50 are allowed"):
        await capture.print(*((n, n, "") for n in range(51)))
    with pytest.raises(Refused, match="line 1 has 101 bytes, 100 are allowed"):
        await capture.print((1, 1, "x" * 101))
    with pytest.raises(Refused, match="attempts 1 to 2, not 3"):
        await capture.print((1, 1, "x"), attempt=3)
    with pytest.raises(Refused, match="line 1 has the stream 999"):
        await capture.print((1, 1, "x"), stream=999)
    malformed = (b"x", b"{}", b'[1, {"zz": 1}]', b'[1, {"00": 1}]', b"[-1, {}]")
    out_of_range = (b"[4294967296, {}]", b"[true, {}]", b"[1.0, {}]", b"[" * 100_000)
    for cursor in (*malformed, *out_of_range):
        with pytest.raises(Refused, match="the cursor is not one of an earlier reply"):
            await capture.read(cursor=cursor)


async def test_a_cursor_is_as_long_as_the_service_gives(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer one is not even parsed."""
    most = 16 + 56 * LIMITS.max_console_writers
    widest = {bytes([n >> 8, n & 255]) * 8: 2**64 - 1 for n in range(LIMITS.max_console_writers)}
    cursor = service._cursor(2**32 - 1, widest)
    assert most - 100 < len(cursor) <= most
    assert texts(await capture.read(cursor=cursor)) == []

    def parse(cursor: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(service, "_parse_cursor", parse)
    with pytest.raises(Refused, match=f"INVALID_ARGUMENT: the cursor has {most + 1:,} bytes"):
        await capture.read(cursor=b"[" * (most + 1))


async def test_no_cursor_is_given_that_would_not_be_taken(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture.service, "_limits", replace(LIMITS, max_console_writers=2))
    for _ in range(2):
        await capture.print((1, 1, "a"), writer=os.urandom(16))
    assert texts(await capture.read(cursor=(await capture.read(tail=9)).cursor)) == []
    await capture.print((1, 1, "a"), writer=os.urandom(16))
    for asked in ({"tail": 1}, {}):
        with pytest.raises(Refused, match="RESOURCE_EXHAUSTED: more than 2 processes"):
            await capture.read(**asked)
    assert texts(await capture.read(limit=2)) == ["a", "a"]


async def test_an_ordinal_that_no_line_reaches_is_refused(capture: Capture) -> None:
    for ordinal in (2**63, 2**64 - 1):
        with pytest.raises(Refused, match=f"line 1 has the ordinal {ordinal}: count"):
            await capture.print((1, ordinal, "a"))
    await capture.print((1, 2**63 - 1, "a"))
    assert texts(await capture.read(cursor=(await capture.read()).cursor)) == []


async def test_a_console_with_such_an_ordinal_is_read_on(capture: Capture, embedded: Store) -> None:
    """Earlier versions stored them."""
    await capture.print((1, 1, "before"))
    row = ConsoleRow(
        binding=Binding(
            run=siphash64(capture.run_id),
            run_id=capture.run_id,
            attempt=1,
            rank=0,
            writer=capture.writer,
        ),
        line=2,
        ordinal=2**64 - 1,
        stream=1,
        open=False,
        time_ms=7,
        text="far",
    )
    CaptureTables(embedded).put_lines([row])
    first = await capture.read(tail=1)
    assert texts(first) == ["far"]
    assert texts(await capture.read(cursor=first.cursor)) == []
    assert texts(await capture.read(cursor=(await capture.read(limit=1)).cursor)) == ["far"]


async def test_a_run_that_is_not_there_has_neither(capture: Capture) -> None:
    with pytest.raises(Refused, match="NOT_FOUND"):
        await capture.get(run_id="other")
    with pytest.raises(Refused, match="NOT_FOUND"):
        await capture.read(run_id="other")


async def test_text_is_cleaned_in_a_thread(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    made = service._row

    def seen(place: Binding, line: capture_pb2.ConsoleLine) -> ConsoleRow:
        threads.append(threading.current_thread())
        return made(place, line)

    monkeypatch.setattr(service, "_row", seen)
    await capture.print((1, 1, "a\x1bb"))
    assert threads
    assert threading.main_thread() not in threads
    assert texts(await capture.read()) == ["ab"]


async def test_a_context_is_asked_for_by_a_few_parts(capture: Capture) -> None:
    with pytest.raises(Refused, match="10001 parts, 10000 are allowed"):
        await capture.get(parts=["git"] * 10_001)
