"""What this process knows of each writer: how far it is stored, who speaks for it, what is in
flight.

Invariants
- At most one stream owns a writer. A newer Hello takes it over; the older stream is fenced in the
  same turn of the event loop.
- The new owner learns the mark only when nothing of the writer is in flight any more: whatever an
  older stream had handed over is then stored or known not to be.
- `committed` is what the store holds. It is read from the store when the writer is not known here,
  and raised only after an INSERT has returned. Keeping it in memory is sound because one service
  owns the store.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import grpc

from stepline_ingest.budget import DEFAULT_TENANT
from stepline_ingest.errors import ServiceError, invalid, later

MAX_IDLE_WRITERS = 100_000
"""Writers remembered after their stream has ended; a forgotten one is read from the store again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The place of a writer: which rank of which attempt of which run it is. Fixed for its life."""

    writer: bytes
    run_id: str
    run: int
    """siphash64(run_id), the run in the store."""
    attempt: int
    rank: int
    tenant: str = field(default=DEFAULT_TENANT, compare=False)
    """Whose share of the service it takes: the project of the run."""

    @property
    def label(self) -> str:
        return f"writer {self.writer.hex()} (run {self.run_id}, rank {self.rank})"


class Owner(Protocol):
    """A stream that speaks for a writer."""

    def fail(self, error: ServiceError) -> None:
        """Ends the stream with ERROR, soon. What it handed over is settled all the same."""


@dataclass(slots=True, eq=False)
class Writer:
    """One writer. Changed on the event loop only."""

    binding: Binding
    committed: int = 0
    """Everything up to here is stored, or settled as rejected."""
    built: int = 0
    """Everything up to here is stored or part of the group being stored. Trimming at this mark
    keeps a point from being stored twice, however its batches overlap."""
    loaded: bool = False
    """`committed` was read from the store, and nothing has happened since that only the store
    knows."""
    epoch: int = 0
    owner: Owner | None = None
    inflight_batches: int = 0
    inflight_bytes: int = 0
    suspect: int | None = None
    """First sequence of a batch that could not be decoded; the second failure there is final."""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    def enter(self, nbytes: int) -> None:
        """A batch was received."""
        self.inflight_batches += 1
        self.inflight_bytes += nbytes
        self._idle.clear()

    def leave(self, nbytes: int) -> None:
        """A batch is settled: stored, rejected, or known not to be stored."""
        self.inflight_batches -= 1
        self.inflight_bytes -= nbytes
        if not self.inflight_batches:
            self._idle.set()

    async def settled(self) -> None:
        """Until nothing is in flight."""
        await self._idle.wait()

    def advance(self, seq: int) -> None:
        """Everything up to SEQ is stored."""
        self.committed = max(self.committed, seq)
        self.built = max(self.built, self.committed)
        if self.suspect is not None and self.suspect <= self.committed:
            self.suspect = None

    def retreat(self) -> None:
        """What was built is known not to be stored."""
        self.built = self.committed

    def doubt(self) -> None:
        """Only the store knows what is stored: the next stream reads the mark from it."""
        self.loaded = False


class Writers:
    """The writers of this process."""

    def __init__(
        self,
        load_mark: Callable[[Binding], Awaitable[int]],
        *,
        settle_timeout: float,
        max_idle: int = MAX_IDLE_WRITERS,
    ) -> None:
        self._load_mark = load_mark
        self._settle_timeout = settle_timeout
        self._max_idle = max_idle
        self._writers: OrderedDict[bytes, Writer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._writers)

    def binding(self, writer: bytes) -> Binding | None:
        """The binding of a writer known to this process."""
        known = self._writers.get(writer)
        return known.binding if known else None

    def owners(self) -> list[Owner]:
        return [writer.owner for writer in self._writers.values() if writer.owner is not None]

    async def claim(self, binding: Binding, epoch: int, owner: Owner) -> Writer:
        """Makes OWNER the one that speaks for the writer, ends the stream that did so before, waits
        until that one's batches are settled, and knows the mark when it returns."""
        writer = self._find(binding)
        if epoch < writer.epoch:
            raise _fenced(binding, epoch, writer.epoch)
        writer.epoch = epoch
        previous, writer.owner = writer.owner, owner
        if previous is not None:
            previous.fail(
                ServiceError(
                    grpc.StatusCode.ABORTED,
                    f"another stream with epoch {epoch} speaks for {binding.label} now; "
                    "leave the writer to it",
                )
            )
        ready = asyncio.ensure_future(self._ready(writer))
        try:
            # Not wait_for, which swallows a cancellation when it is ready in the same turn.
            await asyncio.wait({ready}, timeout=self._settle_timeout)
            if not ready.done():
                raise later(
                    f"earlier batches of {binding.label} are not settled yet: the store does not "
                    "answer; "
                    "nothing is lost, try again later"
                )
            ready.result()
        except BaseException:
            ready.cancel()
            self.release(writer, owner)
            raise
        if writer.owner is not owner:
            raise _fenced(binding, epoch, writer.epoch)
        return writer

    async def forget(self, run_id: str, error: ServiceError) -> None:
        """Ends the streams of a run with ERROR, and waits until what they handed over is
        settled."""
        concerned = [w for w in self._writers.values() if w.binding.run_id == run_id]
        for writer in concerned:
            if writer.owner is not None:
                writer.owner.fail(error)
        for writer in concerned:
            await writer.settled()
            if self._writers.get(writer.binding.writer) is writer:
                del self._writers[writer.binding.writer]

    def release(self, writer: Writer, owner: Owner) -> None:
        """OWNER has ended. What it handed over stays in flight until it is settled."""
        if writer.owner is owner:
            writer.owner = None
        self._forget_idle()

    def _find(self, binding: Binding) -> Writer:
        writer = self._writers.get(binding.writer)
        if writer is None:
            writer = self._writers[binding.writer] = Writer(binding)
        elif writer.binding != binding:
            raise conflicting(binding, writer.binding)
        self._writers.move_to_end(binding.writer)
        return writer

    async def _ready(self, writer: Writer) -> None:
        await writer.settled()
        async with writer.loading:
            if not writer.loaded:
                writer.advance(await self._load_mark(writer.binding))
                writer.loaded = True

    def _forget_idle(self) -> None:
        """Drops those that were quiet for longest, beyond the number that is worth remembering."""
        excess = len(self._writers) - self._max_idle
        if excess <= 0:
            return
        for key, writer in list(self._writers.items())[:excess]:
            if writer.owner is None and not writer.inflight_batches:
                del self._writers[key]


def conflicting(asked: Binding, known: Binding) -> ServiceError:
    # Another run may be another tenant's: it is not named.
    place = (
        f"is rank {known.rank} of attempt {known.attempt} of run {known.run_id}"
        if known.run == asked.run
        else "has its place in another run"
    )
    return invalid(
        f"writer {asked.writer.hex()} {place}, not rank {asked.rank} of attempt {asked.attempt} of "
        f"run {asked.run_id}; a writer is one process: give every process an id of its own"
    )


def _fenced(binding: Binding, epoch: int, newer: int) -> ServiceError:
    return ServiceError(
        grpc.StatusCode.ABORTED,
        f"a stream with epoch {newer} speaks for {binding.label}, this one has {epoch}; "
        "leave the writer to it",
    )
