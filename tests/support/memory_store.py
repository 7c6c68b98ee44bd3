"""A store in memory that fails on command: before the commit, after it, or by not answering. It
judges conservation."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stepline_ingest.items import Reject
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.staging import StagedBlock, Staging
from stepline_ingest.varint import read_varint
from stepline_ingest.writers import Binding

Failure = Callable[[], None]
"""Raises what the store shall raise."""


@dataclass(kw_only=True)
class Insert:
    """One call of insert_points."""

    token: str
    rows: int
    stored: bool


@dataclass
class MemoryStore:
    """The points of all writers by (writer, sequence, metric). Deduplicates by token, as the engine
    does."""

    points: Counter[tuple[bytes, int, int]] = field(default_factory=Counter)
    values: dict[tuple[bytes, int, int], float] = field(default_factory=dict)
    stored_names: dict[tuple[int, int], str] = field(default_factory=dict)
    rejects: list[tuple[bytes, int, int, str]] = field(default_factory=list)
    inserts: list[Insert] = field(default_factory=list)
    reject_calls: list[int] = field(default_factory=list)
    """How many each call of insert_rejects had."""
    order: list[str] = field(default_factory=list)
    """The kinds of inserts in the order in which they took effect."""
    before: list[Failure | None] = field(default_factory=list)
    """What happens to the next inserts before they take effect, one entry an insert."""
    halfway: list[Failure | None] = field(default_factory=list)
    """The same, when their tokens are noted and their points are not stored yet."""
    after: list[Failure | None] = field(default_factory=list)
    """The same, after they took effect."""
    before_rejects: list[Failure | None] = field(default_factory=list)
    after_rejects: list[Failure | None] = field(default_factory=list)
    before_names: list[Failure | None] = field(default_factory=list)
    hole: str | None = None
    """The first time that something took effect while what lies below it was not settled."""
    runs: dict[bytes, int] = field(default_factory=dict)
    """Of the writers that have points."""
    poison: Callable[[bytes, int], bool] = lambda writer, seq: False
    """Points that the store refuses, with the whole block that they are in."""
    unrecordable: Callable[[bytes], bool] = lambda writer: False
    """Writers whose rejections the store refuses, with all of the same call."""
    unnameable: Callable[[int], bool] = lambda run: False
    """Runs whose names the store refuses, with all of the same call."""
    out_of_reach: Callable[[bytes, int], bool] = lambda writer, seq: False
    """Points whose blocks find the store down."""
    _blocks: list[StagedBlock] = field(default_factory=list)
    _staging: Staging = field(default_factory=Staging)
    _tokens: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- what the committer uses ---

    def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
        self._blocks.append(self._staging.stage(write))
        return self._blocks[-1]

    def insert_points(self, block: StagedBlock, *, token: str, runs: Collection[int]) -> None:
        record = Insert(token=token, rows=block.rows, stored=False)
        self.inserts.append(record)
        _next(self.before)
        found = read_block(b"".join(block.chunks()))
        assert len(found) == block.rows
        if any(self.out_of_reach(row.writer, row.seq) for row in found):
            refused()
        if any(self.poison(row.writer, row.seq) for row in found):
            raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)
        with self._lock:
            if token not in self._tokens:
                self._tokens.add(token)
                _next(self.halfway)
                for writer, run, seq, metric, value in found:
                    self.points[writer, seq, metric] += 1
                    self.values[writer, seq, metric] = value
                    self.runs[writer] = run
                record.stored = True
                self.order.append("points")
                self._look_for_holes({row.writer for row in found})
        _next(self.after)

    def insert_names(self, names: Sequence[tuple[int, int, str]]) -> None:
        _next(self.before_names)
        if any(self.unnameable(run) for run, _, _ in names):
            raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)
        for run, metric, name in names:
            self.stored_names[run, metric] = name
        self.order.append("names")

    def insert_rejects(self, rejects: Sequence[Reject], received: int) -> None:
        self.reject_calls.append(len(rejects))
        _next(self.before_rejects)
        if any(self.unrecordable(reject.writer.binding.writer) for reject in rejects):
            raise StoreError("Code: 117. INCORRECT_DATA", blames_data=True)
        with self._lock:
            for reject in rejects:
                writer = reject.writer.binding.writer
                self.rejects.append((writer, reject.first_seq, reject.last_seq, reject.reason))
            self.order.append("reject")
            self._look_for_holes({reject.writer.binding.writer for reject in rejects})
        _next(self.after_rejects)

    def forget_blocks(self) -> None:
        """Those of a process that has crashed go with it."""
        for block in self._blocks:
            block.close()
        self._blocks.clear()

    @property
    def open_blocks(self) -> int:
        """Staged and not given back."""
        return sum(block._handle >= 0 for block in self._blocks)

    # --- what a new process reads ---

    async def mark(self, binding: Binding) -> int:
        with self._lock:
            stored = [seq for writer, seq, _ in self.points if writer == binding.writer]
            put_aside = [last for writer, _, last, _ in self.rejects if writer == binding.writer]
        return max([0, *stored, *put_aside])

    async def names(self, run: int) -> list[int]:
        return [metric for of, metric in self.stored_names if of == run]

    # --- the oracle ---

    def seqs(self, writer: bytes) -> list[int]:
        return sorted({seq for of, seq, _ in self.points if of == writer})

    def assert_exactly_once(self, writer: bytes, last_seq: int) -> None:
        """Sequences 1..LAST_SEQ are stored or rejected, none twice, and every name came before its
        points."""
        assert self.hole is None, self.hole
        both = [
            (first, last)
            for of, first, last, _ in self.rejects
            if of == writer and not set(range(first, last + 1)).isdisjoint(self.seqs(writer))
        ]
        assert not both, f"rejected and stored: {both[:5]}"
        doubled = {point: times for point, times in self.points.items() if times > 1}
        assert not doubled, f"stored more than once: {doubled}"
        settled = self._settled(writer)
        missing = sorted(set(range(1, last_seq + 1)) - settled)
        assert not missing, f"never stored: {missing[:20]}"
        assert max(settled, default=0) <= last_seq
        used = {(self.runs[of], metric) for of, _, metric in self.points}
        assert used <= self.stored_names.keys()

    def _settled(self, writer: bytes) -> set[int]:
        settled = set(self.seqs(writer))
        for of, first, last, _ in self.rejects:
            if of == writer:
                settled |= set(range(first, last + 1))
        return settled

    def _look_for_holes(self, writers: set[bytes]) -> None:
        """The mark of a writer is the highest sequence, so there must never be one below it."""
        for writer in writers:
            settled = self._settled(writer)
            missing = set(range(1, max(settled))) - settled
            if missing and self.hole is None:
                self.hole = f"{max(settled)} took effect before {sorted(missing)[:20]}"


def unknown() -> None:
    raise StoreError("the connection broke while the answer was awaited", outcome_unknown=True)


def refused() -> None:
    raise StoreError("the store cannot be reached")


class Row(NamedTuple):
    """What tells a point from others, and its value."""

    writer: bytes
    run: int
    seq: int
    metric: int
    value: float


def read_block(data: bytes) -> list[Row]:
    """The rows of a Native block."""
    found: list[Row] = []
    at = 0
    while at < len(data):
        count, at = read_varint(data, at)
        rows, at = read_varint(data, at)
        columns: dict[str, np.ndarray] = {}
        for _ in range(count):
            name, at = _text(data, at)
            kind, at = _text(data, at)
            dtype = np.dtype(_DTYPES[kind])
            columns[name] = np.frombuffer(data, dtype, rows, at)
            at += rows * dtype.itemsize
        found += [
            # UInt128, little-endian
            Row(writer.tobytes()[::-1], int(run), int(seq), int(metric), float(value))
            for writer, run, seq, metric, value in zip(
                columns["writer"],
                columns["run"],
                columns["seq"],
                columns["metric"],
                columns["value"],
                strict=True,
            )
        ]
    return found


_DTYPES = {
    "UInt64": "<u8",
    "UInt32": "<u4",
    "Int64": "<i8",
    "DateTime64(3)": "<i8",
    "DateTime": "<u4",
    "Float64": "<f8",
    "UInt128": "V16",
}


def _next(script: list[Failure | None]) -> None:
    if script:
        step = script.pop(0)
        if step is not None:
            step()


def _text(data: bytes, at: int) -> tuple[str, int]:
    size, at = read_varint(data, at)
    return data[at : at + size].decode(), at + size
