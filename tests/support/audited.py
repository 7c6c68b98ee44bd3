"""A small run in which everything is right, built row by row, so that a test can break it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepline import _core
from stepline_ingest.store import Store
from tests.support.points import Point, block

METRICS = ("train/loss", "lr")
MS = 1_790_000_000_000

_RUN_COLUMNS = ("run", "run_id", "project", "state", "created", "updated", "version")
_ATTEMPT_COLUMNS = ("run", "attempt", "launch_id", "world_size", "created", "version")
_WRITER_COLUMNS = ("writer", "run", "run_id", "attempt", "rank", "host", "pid", "created")
_NAME_COLUMNS = ("run", "metric", "name", "first_seen")
_REJECT_COLUMNS = (
    *("run", "writer", "attempt", "rank", "first_seq", "last_seq", "reason", "payload"),
    "received",
)


@dataclass(frozen=True)
class Sample:
    """One run of two ranks; its writers are rank 0 and 1 above a number of its own."""

    run_id: str = "audited"

    @property
    def run(self) -> int:
        return _core.siphash64(self.run_id)

    @property
    def writer(self) -> int:
        """Of rank 0."""
        return (self.run << 64) | 0x100

    @property
    def names(self) -> tuple[str, ...]:
        """By which a finding may name this run."""
        writers = (f"{self.writer + rank:032x}" for rank in (0, 1))
        return (f"run {self.run_id},", f"run {self.run_id}:", f"#{self.run}", *writers)

    def points(
        self,
        sequences: Sequence[int],
        *,
        rank: int = 0,
        metrics: Sequence[str] = METRICS,
        writer: int | None = None,
    ) -> list[Point]:
        """A row of METRICS for each sequence, as one writer logs them."""
        return [
            Point(
                run=self.run,
                metric=_core.siphash64(name),
                rank=rank,
                step=10 * seq,
                time=MS + seq,
                value=seq + index / 4,
                seq=seq,
                writer=self.writer + rank if writer is None else writer,
            )
            for seq in sequences
            for index, name in enumerate(metrics)
        ]

    def put(self, store: Store, rows: Sequence[Point], *, token: str) -> None:
        """One INSERT."""
        store.insert_points([block(rows)], rows=len(rows), token=f"{self.run_id}-{token}")

    def put_run(self, store: Store) -> None:
        """The run, its attempt and the names of its metrics."""
        run = self.run
        store.insert_rows("raw_runs", _RUN_COLUMNS, [(run, self.run_id, "p", "running", MS, MS, 1)])
        store.insert_rows("raw_attempts", _ATTEMPT_COLUMNS, [(run, 1, "l", 2, MS, 1)])
        store.insert_rows(
            "raw_metrics",
            _NAME_COLUMNS,
            [(run, _core.siphash64(name), name, MS) for name in METRICS],
        )

    def put_writer(self, store: Store, *, rank: int = 0, writer: int | None = None) -> None:
        """The place of a writer."""
        number = self.writer + rank if writer is None else writer
        row = (number, self.run, self.run_id, 1, rank, "h", 1, MS)
        store.insert_rows("raw_writers", _WRITER_COLUMNS, [row])

    def put_reject(self, store: Store, first: int, last: int, *, rank: int = 0) -> None:
        """The record of a range that was rejected."""
        row = (self.run, self.writer + rank, 1, rank, first, last, "too long", b"", MS // 1000)
        store.insert_rows("raw_rejects", _REJECT_COLUMNS, [row])

    def build(self, store: Store) -> None:
        """300 sequences a rank in three INSERTs; 101..110 of rank 1 are rejected."""
        self.put_run(store)
        for rank in (0, 1):
            self.put_writer(store, rank=rank)
            for first in (1, 101, 201):
                kept = [s for s in range(first, first + 100) if rank == 0 or not 101 <= s <= 110]
                self.put(store, self.points(kept, rank=rank), token=f"{rank}-{first}")
        self.put_reject(store, 101, 110, rank=1)


def moved(rows: Sequence[Point], **changes: float) -> list[Point]:
    """ROWS with other contents."""
    return [replace(row, **changes) for row in rows]
