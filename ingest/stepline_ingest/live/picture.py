"""What a watched chart shows, and what of it is new since any earlier look.

A watcher is one number: the last change that it was told. So it costs the same however slow it is,
and what it is told next is everything since, merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import grpc

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import live_pb2, query_pb2, runs_pb2
from stepline_ingest.metrics import Refusal

from .lines import Cut, LineKey, WatchedLine, key_of

MAX_GONE = 10_000
"""Lines that are remembered as gone; beyond, watchers get everything anew."""


@dataclass(slots=True)
class Room:
    """Buckets that all watched charts may hold together, and one of them."""

    total: int
    each: int
    held: int = 0


@dataclass(slots=True)
class Picture:
    """The lines of one chart. Changed and read on the event loop."""

    room: Room
    change: int = 0
    """The number of the last change; 0 before anything is known."""
    lines: dict[LineKey, WatchedLine] = field(default_factory=dict)
    gone: dict[LineKey, int] = field(default_factory=dict)
    """Lines that are no more, since which change."""
    runs: dict[str, tuple[runs_pb2.Run, int]] = field(default_factory=dict)
    forgotten: int = 0
    """Who has not seen this change gets everything anew."""
    buckets: int = 0

    def take(
        self,
        lines: Iterable[query_pb2.ChartLine],
        runs: Iterable[runs_pb2.Run],
        covers: Callable[[LineKey], bool],
    ) -> bool:
        """The newest state: LINES are all those that COVERS is true for. False when nothing is
        new.

        Raises ServiceError(RESOURCE_EXHAUSTED) when there is more than may be held.
        """
        change = self.change + 1
        new = self.change == 0
        missing = {key for key in self.lines if covers(key)}
        for line in lines:
            if line.rows:
                key = key_of(line)
                missing.discard(key)
                new |= self._put(key, Cut.of(line), change)
        for key in missing:
            self._count(-len(self.lines.pop(key).since))
            self.gone[key] = change
            new = True
        for run in runs:
            new |= self._put_run(run, change)
        self._check_room()
        if new:
            self.change = change
        if len(self.gone) > MAX_GONE:
            self.gone.clear()
            self.forgotten = self.change
        return new

    def _put(self, key: LineKey, cut: Cut, change: int) -> bool:
        self.gone.pop(key, None)
        held = self.lines.get(key)
        if held is None:
            self.lines[key] = WatchedLine.new(cut, change)
            self._count(len(cut.x))
            return True
        self._count(len(cut.x) - len(held.since))
        return held.becomes(cut, change)

    def close(self) -> None:
        """Gives its room back."""
        self.lines.clear()
        self._count(-self.buckets)

    def _count(self, buckets: int) -> None:
        self.buckets += buckets
        self.room.held += buckets

    def _check_room(self) -> None:
        room = self.room
        if self.buckets > room.each or room.held > room.total:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"this chart has {self.buckets} buckets and all watched ones {room.held}; the "
                f"service holds {room.each} of one and {room.total} of all: watch fewer points, "
                "lines or ranks",
                refusal=Refusal.QUERY_LIMIT,
            )

    def _put_run(self, run: runs_pb2.Run, change: int) -> bool:
        held = self.runs.get(run.run_id)
        if held is not None and held[0] == run:
            return False
        self.runs[run.run_id] = (run, change)
        return True

    def lines_after(self, seen: int, chart: int) -> Iterator[live_pb2.LineUpdate]:
        """What changed after the change SEEN, as lines of the chart number CHART.

        May be left half-way while the picture changes: what changes meanwhile is in what follows
        the change at which this began.
        """
        if seen:
            for key in [key for key, change in self.gone.items() if change > seen]:
                yield _gone(key, chart)
        for key in list(self.lines):
            line = self.lines.get(key)
            found = line.after(seen) if line is not None else None
            if found is not None:
                yield live_pb2.LineUpdate(chart=chart, line=found[0], whole=found[1])

    def runs_after(self, seen: int) -> list[runs_pb2.Run]:
        return [run for run, change in self.runs.values() if change > seen]


def _gone(key: LineKey, chart: int) -> live_pb2.LineUpdate:
    run_id, attempt, group, metric, rank = key
    line = query_pb2.ChartLine(run_id=run_id, group=group, metric=metric)
    if attempt >= 0:
        line.attempt = attempt
    if rank >= 0:
        line.rank = rank
    return live_pb2.LineUpdate(chart=chart, line=line, gone=True)
