"""One line of a watched chart: its buckets, and since when each of them is as it is.

A line comes as a ChartLine, whose columns are what has 8 bytes a bucket, whatever the columns are.
They are compared as bits, so a NaN is equal to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from numpy.typing import NDArray

from stepline_ingest.gen.stepline.v1 import query_pb2

Table = NDArray[np.uint64]
"""One row a column, one column a bucket."""
LineKey = tuple[str, int, str, str, int]
"""Run, attempt, group, metric, rank; -1 for a line over attempts or ranks."""

_BYTES = [
    field
    for field in query_pb2.ChartLine.DESCRIPTOR.fields
    if field.type == FieldDescriptor.TYPE_BYTES
]
_OF_THE_READ = ("tier_width", "rows")
"""Fields that say how a line was read and how much of it is here, not what it is."""


def key_of(line: query_pb2.ChartLine) -> LineKey:
    attempt = line.attempt if line.HasField("attempt") else -1
    rank = line.rank if line.HasField("rank") else -1
    return line.run_id, attempt, line.group, line.metric, rank


@dataclass(slots=True)
class Cut:
    """A line taken apart: x and the columns, and a message with the rest."""

    head: query_pb2.ChartLine
    names: tuple[str, ...]
    x: NDArray[np.int64]
    table: Table

    @classmethod
    def of(cls, line: query_pb2.ChartLine) -> Cut:
        head = query_pb2.ChartLine()
        head.CopyFrom(line)
        head.ClearField("x")
        size = 8 * line.rows
        names: list[str] = []
        columns: list[bytes] = []
        for field in _BYTES:
            held = getattr(line, field.name)
            found = list(held) if field.is_repeated else [held]
            if field.name == "x" or not found or any(len(c) != size or not c for c in found):
                continue
            names += [field.name] * len(found)
            columns += found
            head.ClearField(field.name)
        table = np.frombuffer(b"".join(columns), "<u8").reshape(len(columns), line.rows)
        return cls(head, tuple(names), np.frombuffer(line.x, "<i8"), table)

    def message(self, buckets: NDArray[np.bool_]) -> query_pb2.ChartLine:
        """The line with some of its buckets."""
        line = query_pb2.ChartLine()
        line.CopyFrom(self.head)
        line.x = self.x[buckets].tobytes()
        line.rows = int(np.count_nonzero(buckets))
        for name, column in zip(self.names, self.table, strict=True):
            data = column[buckets].tobytes()
            if name == "quantiles":
                line.quantiles.append(data)
            else:
                setattr(line, name, data)
        return line

    def same_kind(self, other: Cut) -> bool:
        """Whether their buckets can stand side by side."""
        return (
            self.names == other.names
            and self.head.bucket_width == other.head.bucket_width
            and self.head.defined_x == other.head.defined_x
            and list(self.head.group_run_ids) == list(other.head.group_run_ids)
        )

    def same_head(self, other: Cut) -> bool:
        mine, theirs = query_pb2.ChartLine(), query_pb2.ChartLine()
        for copy, head in ((mine, self.head), (theirs, other.head)):
            copy.CopyFrom(head)
            for name in _OF_THE_READ:
                copy.ClearField(name)
        return mine == theirs


@dataclass(slots=True)
class WatchedLine:
    """The newest state of a line, and the number of the change that made each part so."""

    cut: Cut
    since: NDArray[np.int64]
    """Of each bucket."""
    whole: int
    """When all buckets became others."""
    head: int
    """When something about the line itself changed."""

    @classmethod
    def new(cls, cut: Cut, change: int) -> WatchedLine:
        return cls(cut, np.full(len(cut.x), change, np.int64), change, change)

    def becomes(self, cut: Cut, change: int) -> bool:
        """Takes over what the line is now; False when that is nothing new."""
        old = self.cut
        place = np.searchsorted(cut.x, old.x)
        if (
            not old.same_kind(cut)
            or (len(place) and place[-1] >= len(cut.x))
            or not np.array_equal(cut.x[place], old.x)
        ):
            # Other buckets, or some that are no more: there is no telling which of them stayed.
            self.cut, self.whole, self.head = cut, change, change
            self.since = np.full(len(cut.x), change, np.int64)
            return True
        since = np.full(len(cut.x), change, np.int64)
        same = np.all(cut.table[:, place] == old.table, axis=0)
        since[place[same]] = self.since[same]
        if not old.same_head(cut):
            self.head = change
        self.cut, self.since = cut, since
        return self.head == change or bool(np.any(since == change))

    @property
    def changed(self) -> int:
        """The number of the last change."""
        return max(self.head, int(self.since.max(initial=0)))

    def after(self, seen: int) -> tuple[query_pb2.ChartLine, bool] | None:
        """What changed after the change SEEN, and whether that is the whole line; None when
        nothing did.
        """
        if self.whole > seen:
            return self.cut.message(np.ones(len(self.cut.x), np.bool_)), True
        if self.changed <= seen:
            return None
        return self.cut.message(self.since > seen), False
