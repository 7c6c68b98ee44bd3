"""What lies in the committer's queue: ranges of sequences of one writer on their way into the
store."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from stepline import _core
from stepline_ingest.budget import Account
from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import RejectReason
from stepline_ingest.names import RunNames
from stepline_ingest.writers import Writer


class Sink(Protocol):
    """Who handed an item over and hears what became of it. Called on the event loop."""

    def stored(self) -> None:
        """The mark of the writer has risen."""

    def rejected(self, first_seq: int, last_seq: int, reason: str, *, nbytes: int) -> None:
        """The range, which arrived as NBYTES, is settled without being stored; the mark has passed
        it."""

    def fail(self, error: ServiceError) -> None:
        """The item is not stored, or not known to be, and nothing behind it will be. May be called
        more than once."""


@dataclass(slots=True, eq=False, kw_only=True)
class Item:
    """A range of sequences. Counted by its writer and by the budget until it is settled."""

    writer: Writer
    sink: Sink
    account: Account
    """What is held of the budget is given back to it."""
    first_seq: int
    last_seq: int
    nbytes: int
    """As it travelled: what it takes of the writer's window."""
    held: int
    """In memory: what it takes of the budget."""
    settled: bool = False
    """Stored, rejected, or known not to be stored."""
    arrived: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return f"batch {self.first_seq}..{self.last_seq} of {self.writer.binding.label}"


@dataclass(slots=True, eq=False, kw_only=True)
class Points(Item):
    """A decoded batch."""

    batch: _core.Batch
    new_metrics: list[tuple[int, str]]
    """The names that the stream has not used before: (metric, name)."""
    names: RunNames


@dataclass(slots=True, eq=False, kw_only=True)
class Reject(Item):
    """A range that can never be stored."""

    reason: str
    cause: RejectReason = RejectReason.STORE_REFUSES
    payload: bytes = b""
    """The batch as it arrived, so that a person can look into it; of a too large one the head."""
