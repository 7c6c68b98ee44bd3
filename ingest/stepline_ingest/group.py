"""A group: the batches that one INSERT stores."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from stepline import _core
from stepline_ingest.items import Points, Reject
from stepline_ingest.store.contract import StagedBlock
from stepline_ingest.writers import Binding


class PointsStore(Protocol):
    """What a commit writes. Every method but `mark` blocks and runs in a thread; all raise
    StoreError."""

    def stage_points(self, write: Callable[[int], int]) -> StagedBlock:
        """A block that WRITE writes to an open file; it returns the number of rows."""

    def insert_points(self, block: StagedBlock, *, token: str, runs: Collection[int]) -> None: ...

    async def mark(self, binding: Binding) -> int:
        """The highest sequence of a writer that is settled."""

    def insert_names(self, names: Sequence[tuple[int, int, str]]) -> None:
        """(run, metric, name); repeating it is harmless."""

    def insert_rejects(self, rejects: Sequence[Reject], received: int) -> None:
        """Repeating it is harmless."""


class Group:
    """Batches as one block, with the token of its INSERT. The bytes are made once, so every attempt
    at the INSERT sends the same ones."""

    def __init__(
        self,
        points: Sequence[Points],
        rejects: Sequence[Reject],
        *,
        received: int,
        store: PointsStore,
        after: Sequence[int] | None = None,
    ) -> None:
        """AFTER: of each batch, the sequence behind which it holds anything new; found out here
        when it is not given."""
        self.points = list(points)
        self.rejects = list(rejects)
        """Recorded when the points are stored: none of these lies behind one of them."""
        self.rows = 0
        """Of the block, once it is built."""
        self._store = store
        self._received = received
        self._after = _trim(self.points) if after is None else after
        self._token = uuid.uuid4().hex
        self._block: StagedBlock | None = None

    @property
    def items(self) -> list[Points | Reject]:
        return [*self.points, *self.rejects]

    def build(self) -> None:
        """Blocks, without the interpreter for most of the time. A second call does nothing."""
        if self._block is None:
            self._block = self._store.stage_points(self._write)
            self.rows = self._block.rows

    def insert(self) -> None:
        """Blocks. Raises StoreError, CoreError."""
        self.build()
        if self._block is not None and self.rows:
            runs = {item.writer.binding.run for item in self.points}
            self._store.insert_points(self._block, token=self._token, runs=runs)

    async def is_there(self) -> bool:
        """Whether the store has the rows. One part holds them all, so one batch tells of all."""
        if not self.rows:
            return True
        item, after = next(self._with_news())
        return await self._store.mark(item.writer.binding) > after

    def close(self) -> None:
        """Gives the memory of the block back. Nothing of the group runs any more."""
        if self._block is not None:
            self._block.close()

    def split(self) -> list[Group]:
        """A group for each batch, with what it has of it: what is behind them was trimmed by that,
        so nothing of it may be decided anew."""
        return [
            Group([item], (), received=self._received, store=self._store, after=[after])
            for item, after in zip(self.points, self._after, strict=True)
        ]

    def names(self) -> list[tuple[int, int, str]]:
        """The names that the store does not have yet: (run, metric, name)."""
        fresh = {
            (item.names.run, metric): name
            for item in self.points
            if item.new_metrics
            for metric, name in item.names.missing(item.new_metrics)
        }
        return [(run, metric, name) for (run, metric), name in fresh.items()]

    def confirm_names(self) -> None:
        """The store has them now."""
        for item in self.points:
            item.names.confirm(metric for metric, _ in item.new_metrics)

    def _write(self, handle: int) -> int:
        parts = [(item.batch, after) for item, after in self._with_news()]
        return _core.write_block(parts, self._received, handle)

    def _with_news(self) -> Iterator[tuple[Points, int]]:
        """What is not trimmed away as a whole, and the sequence behind which it is new."""
        for item, after in zip(self.points, self._after, strict=True):
            if after < item.last_seq:
                yield item, after


def _trim(points: Sequence[Points]) -> list[int]:
    """Of each batch, the sequence behind which it holds anything new."""
    found = []
    for item in points:
        found.append(max(item.writer.built, item.first_seq - 1))
        item.writer.built = max(item.writer.built, item.last_seq)
    return found
