"""A TCP proxy on loopback that makes bad weather between a client and a service.

It follows the frames of HTTP/2 (RFC 9113, section 4.1) in both directions, without knowing what is
in them, so that a connection can be cut exactly at a frame boundary, or at any byte.

What happens to a connection is its `Weather`, chosen by number when it is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says before its first frame."""
HEAD = 9
DATA = 0

Direction = Literal["up", "down"]
"""up: client to service; down: service to client."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What becomes of one connection. Without arguments: nothing."""

    cut_after_frames: tuple[Direction, int] | None = None
    """So many frames of this direction pass, then both sides see the end. Down, the cut comes
    before the service's answer to what went up is read."""
    cut_after_bytes: tuple[Direction, int] | None = None
    lose_acks_after: int | None = None
    """So many DATA frames of the service pass; the rest is dropped."""
    cut_after_lost: int = 1
    """With `lose_acks_after`: the connection is cut when so many were dropped."""
    half_close_after_frames: int | None = None
    """After so many frames of the client the service sees the end of the stream, the client does
    not."""
    stall_after_frames: tuple[Direction, int] | None = None
    """Nothing of this direction passes any more; the connection stays."""
    delay: float = 0.0
    """Seconds that each piece waits."""
    bytes_per_second: float = 0.0
    """0 for as fast as it goes."""
    refuse: bool = False
    """Cut as soon as it is accepted."""


CLEAR = Weather()
Forecast = Callable[[int], Weather]


@dataclass
class Frames:
    """What went through one direction of a connection: a kind for each whole frame."""

    kinds: list[int] = field(default_factory=list)
    bytes: int = 0
    _preface: int = 0
    _rest: bytes = b""

    def split(self, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        """DATA cut at the frame boundaries in it: (piece, kind of the frame that it ends)."""
        while data:
            need = self._missing()
            piece, data = data[:need], data[need:]
            self.bytes += len(piece)
            yield piece, self._take(piece)

    def __post_init__(self) -> None:
        self._left = 0

    def expect_preface(self) -> None:
        self._preface = len(PREFACE)

    def _missing(self) -> int:
        return self._preface or self._left or HEAD - len(self._rest)

    def _take(self, piece: bytes) -> int | None:
        if self._preface:
            self._preface -= len(piece)
            return None
        if self._left:
            self._left -= len(piece)
            return self._end() if not self._left else None
        self._rest += piece
        if len(self._rest) < HEAD:
            return None
        self._left = int.from_bytes(self._rest[:3], "big")
        return self._end() if not self._left else None

    def _end(self) -> int:
        kind = self._rest[3]
        self._rest = b""
        self.kinds.append(kind)
        return kind


class Proxy:
    """Listens on a port of its own and forwards to UPSTREAM, "HOST:PORT". Runs in a thread."""

    def __init__(self, upstream: str) -> None:
        self._host, _, port = upstream.rpartition(":")
        self._port = int(port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.forecast: Forecast = lambda number: CLEAR
        """The weather of the connection with this number, from 0."""
        self.connections: list[dict[Direction, Frames]] = []
        self.cuts = 0
        """Connections that the weather has cut."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def restart_count(self) -> None:
        """The next connection is number 0 again."""
        self.connections.clear()

    def cut_all(self) -> None:
        """Cuts what is connected now."""

        def cut() -> None:
            self.cuts += len(self._tasks)
            for task in self._tasks:
                task.cancel()

        self._loop.call_soon_threadsafe(cut)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- a connection ---

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upward: asyncio.StreamWriter | None = None
        number = len(self.connections)
        frames: dict[Direction, Frames] = {"up": Frames(), "down": Frames()}
        frames["up"].expect_preface()
        self.connections.append(frames)
        weather = self.forecast(number)
        try:
            if weather.refuse:
                self.cuts += 1
                return
            try:
                answers, upward = await asyncio.open_connection(self._host, self._port)
            except OSError:
                return
            lines = (
                _Line("up", reader, upward, frames["up"], weather),
                _Line("down", answers, writer, frames["down"], weather),
            )
            moves = [asyncio.create_task(line.move()) for line in lines]
            try:
                await asyncio.wait(moves, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for move in moves:
                    move.cancel()
                await asyncio.gather(*moves, return_exceptions=True)
            self.cuts += any(line.cut for line in lines)
        except asyncio.CancelledError:
            pass
        finally:
            for side in filter(None, (writer, upward)):
                # What was written before still arrives.
                side.close()
            self._tasks.discard(task)


@dataclass
class _Line:
    """One direction of one connection."""

    direction: Direction
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: Frames
    weather: Weather
    cut: bool = False
    _held: bytes = b""
    _lost: int = 0
    _passed: int = 0

    async def move(self) -> None:
        """Until an end of the connection, or its cut."""
        with contextlib.suppress(ConnectionError):
            while not self.cut and (data := await self.reader.read(64 << 10)):
                await self._forward(data)

    async def _forward(self, data: bytes) -> None:
        weather = self.weather
        if weather.delay:
            await asyncio.sleep(weather.delay)
        limit = self._own(weather.cut_after_bytes)
        for piece, kind in self._pieces(data, limit):
            self.writer.write(piece)
            await self._slow(len(piece))
            if kind is not None:
                await self._frame_ended(weather)
            if self.cut:
                break
        if limit is not None and self.frames.bytes >= limit:
            self.cut = True
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    def _pieces(self, data: bytes, limit: int | None) -> Iterator[tuple[bytes, int | None]]:
        """What passes of DATA."""
        if limit is not None:
            data = data[: limit - self.frames.bytes]
        for piece, kind in self.frames.split(data):
            if self.direction == "up" or self.weather.lose_acks_after is None:
                yield piece, kind
                continue
            # A frame is lost whole: its head waits until its kind and end are known.
            self._held += piece
            if kind is None:
                continue
            if not self._is_lost(kind):
                yield self._held, kind
            self._held = b""
            if self.cut:
                return

    def _is_lost(self, kind: int) -> bool:
        assert self.weather.lose_acks_after is not None
        if kind != DATA:
            return False
        if self._passed < self.weather.lose_acks_after:
            self._passed += 1
            return False
        self._lost += 1
        self.cut = self._lost >= self.weather.cut_after_lost
        return True

    async def _frame_ended(self, weather: Weather) -> None:
        ended = len(self.frames.kinds)
        cut_at = self._own(weather.cut_after_frames)
        if cut_at is not None and ended >= cut_at:
            self.cut = True
        if self.direction == "up" and ended == weather.half_close_after_frames:
            self.writer.write_eof()
            await asyncio.Event().wait()
        stall_at = self._own(weather.stall_after_frames)
        if stall_at is not None and ended >= stall_at:
            await asyncio.Event().wait()

    async def _slow(self, count: int) -> None:
        if self.weather.bytes_per_second:
            await self.writer.drain()
            await asyncio.sleep(count / self.weather.bytes_per_second)

    def _own(self, rule: tuple[Direction, int] | None) -> int | None:
        return rule[1] if rule is not None and rule[0] == self.direction else None
