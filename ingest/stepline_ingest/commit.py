"""Group commit: batches of many writers become one block, one INSERT, one part. Acks follow the
commit.

Invariants
- One group is in flight at a time. Batches that arrive meanwhile form the next one.
- Groups keep the order of arrival, and a failure that leaves something unstored drops everything
  behind it too. So the stored sequences of a writer never have a hole, and the highest of them is
  its mark.
- A rejection closes its group: it is recorded when all before it is stored, and before anything
  behind it is. The mark passes over a rejected range only together with what lies below.
- A group has one token and its bytes are built once. While it is not known whether an INSERT took
  effect, the same bytes are sent with the same token, and no writer of the group gets a new stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from stepline import _core
from stepline_ingest.budget import Budget
from stepline_ingest.errors import ServiceError, later
from stepline_ingest.items import Points, Reject
from stepline_ingest.limits import Limits
from stepline_ingest.linger import Linger
from stepline_ingest.metrics import Refusal, metrics
from stepline_ingest.persistence import Persistence, Poisoned, Unstored

log = logging.getLogger(__name__)


class PointsStore(Protocol):
    """What a commit writes. Every method blocks, raises StoreError, and runs in a thread."""

    def insert_points(self, pieces: Sequence[bytes], *, rows: int, token: str) -> None: ...

    def insert_names(self, names: Sequence[tuple[int, int, str]]) -> None:
        """(run, metric, name); repeating it is harmless."""

    def insert_reject(self, reject: Reject, received: int) -> None:
        """Repeating it is harmless."""


class Committer:
    """One shard: a queue, a task, a thread."""

    def __init__(
        self,
        store: PointsStore,
        *,
        limits: Limits,
        budget: Budget,
        executor: Executor,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._limits = limits
        self._budget = budget
        self._now = now
        self._linger = Linger(limits)
        self._persistence = Persistence(executor, limits, gave_up=self._send_away)
        self._queue: deque[Points | Reject] = deque()
        self._queued_rows = 0
        self._taken: list[Points | Reject] = []
        self._arrived = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.groups = 0
        """INSERTs that took effect."""
        self.rows = 0
        """Points stored by them."""

    def start(self) -> asyncio.Task[None]:
        """The task ends after `stop`, and never otherwise."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="committer")
        return self._task

    async def stop(self) -> None:
        """Commits what is queued and ends."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    @property
    def trouble(self) -> str | None:
        """What the store says, while nothing can be stored."""
        return self._persistence.trouble

    @property
    def queued_batches(self) -> int:
        return len(self._queue)

    @property
    def queued_points(self) -> int:
        return self._queued_rows

    def submit(self, item: Points | Reject) -> None:
        """Takes ITEM over, which its writer and the budget count already; both are relieved when it
        is settled."""
        if self._stopping:
            self._drop(
                [item],
                later(
                    "the service is stopping; send this to its successor", refusal=Refusal.STOPPING
                ),
            )
        elif self._persistence.down is not None:
            self._drop([item], _store_fails(self._persistence.down))
        else:
            self._queue.append(item)
            if isinstance(item, Points):
                self._queued_rows += item.batch.points
            self._arrived.set()

    # --- forming groups ---

    async def _run(self) -> None:
        while True:
            await self._gather()
            if not self._queue:
                return
            group, reject = self._take()
            self._taken = [*group, reject] if reject else [*group]
            try:
                if group:
                    await self._commit(group)
                if reject:
                    await self._record(reject)
            except Unstored as failure:
                self._drop([*self._taken, *self._clear()], _store_fails(str(failure)))
            self._taken = []
            self._linger.observe(arrived_meanwhile=bool(self._queue))

    async def _gather(self) -> None:
        """Until a group is worth its INSERT or has waited long enough. Leaves an empty queue only
        when stopping."""
        while not self._queue:
            if self._stopping:
                return
            self._arrived.clear()
            await self._arrived.wait()
        loop = asyncio.get_running_loop()
        closes = loop.time() + self._linger.window
        while self._queued_rows < self._limits.group_target_rows and not self._stopping:
            patience = min(self._linger.quiet, closes - loop.time())
            if patience <= 0:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), patience)
            except asyncio.TimeoutError:
                return

    def _take(self) -> tuple[list[Points], Reject | None]:
        """The next group in the order of arrival, and the rejection that closed it, if one did."""
        group: list[Points] = []
        rows = held = 0
        while self._queue:
            item = self._queue[0]
            if isinstance(item, Reject):
                self._queue.popleft()
                return group, item
            rows += item.batch.points
            held += item.held
            if group and (rows > self._limits.group_rows or held > self._limits.group_bytes):
                break
            self._queue.popleft()
            self._queued_rows -= item.batch.points
            group.append(item)
        return group, None

    def _clear(self) -> list[Points | Reject]:
        queued, self._queue = list(self._queue), deque()
        self._queued_rows = 0
        return queued

    # --- storing one ---

    async def _commit(self, group: list[Points]) -> None:
        try:
            await self._insert(group)
        except Poisoned as poisoned:
            if len(group) == 1:
                await self._put_aside(group[0], str(poisoned))
                return
            log.warning("a group of %d batches is stored one by one: %s", len(group), poisoned)
            for item in group:
                await self._commit([item])
        else:
            self._settle(group)

    async def _insert(self, group: list[Points]) -> None:
        """Returns when GROUP is stored. Raises Poisoned or Unstored when it is known not to be."""
        fresh = _fresh_names(group)
        if fresh:
            rows = [(run, metric, name) for (run, metric), name in fresh.items()]
            await self._persistence.until_known(lambda: self._store.insert_names(rows))
            for item in group:
                item.names.confirm(metric for metric, _ in item.new_metrics)
        block = _Block(_trim(group), int(self._now()))
        begun = time.monotonic()
        try:
            await self._persistence.until_known(lambda: block.insert(self._store))
        except (Poisoned, Unstored):
            for item in group:
                item.writer.retreat()
            raise
        self.groups += block.rows > 0
        self.rows += block.rows
        if block.rows:
            seconds = time.monotonic() - begun
            metrics.group(points=block.rows, batches=len(group), seconds=seconds)
            log.debug(
                "stored %d points of %d batches in %.3f s",
                block.rows,
                len(group),
                seconds,
                extra={
                    "event": "group_committed",
                    "points": block.rows,
                    "batches": len(group),
                    "seconds": round(seconds, 4),
                },
            )

    async def _put_aside(self, item: Points, reason: str) -> None:
        """ITEM would spoil every group that it is in."""
        log.error("%s is rejected: %s", item, reason)
        reject = Reject(
            writer=item.writer,
            sink=item.sink,
            first_seq=item.first_seq,
            last_seq=item.last_seq,
            nbytes=item.nbytes,
            held=item.held,
            reason=reason,
        )
        await self._record(reject)
        item.settled = True

    async def _record(self, reject: Reject) -> None:
        """Stores a rejection, which settles its range."""
        received = int(self._now())
        try:
            await self._persistence.until_known(lambda: self._store.insert_reject(reject, received))
        except Poisoned as error:
            raise Unstored(f"a rejected batch cannot be recorded: {error}") from error
        metrics.rejected(reject.cause)
        self._release(reject)
        reject.writer.advance(reject.last_seq)
        reject.sink.rejected(reject.first_seq, reject.last_seq, reject.reason)

    # --- telling what became of it ---

    def _settle(self, group: Sequence[Points]) -> None:
        now = time.monotonic()
        for item in group:
            item.writer.advance(item.last_seq)
            self._release(item)
            metrics.stored(nbytes=item.nbytes, seconds=now - item.arrived)
        for item in group:
            item.sink.stored()

    def _drop(self, items: Sequence[Points | Reject], error: ServiceError) -> None:
        """ITEMS are known not to be stored; their clients will send them again. Without a pause for
        other tasks: a stream that has failed hands nothing over any more, so nothing overtakes what
        was dropped."""
        for item in items:
            if not item.settled:
                self._release(item)
                item.sink.fail(error)

    def _release(self, item: Points | Reject) -> None:
        item.settled = True
        item.writer.leave(item.nbytes)
        self._budget.release(item.held)

    def _send_away(self, reason: str) -> None:
        """The outcome of the group in flight is unknown and stays so. It is not settled, but its
        clients need not wait."""
        error = _store_fails(reason)
        for item in self._taken:
            item.sink.fail(error)
        self._drop(self._clear(), error)


class _Block:
    """The rows of a group as the store takes them. Built once, in the thread that sends it."""

    def __init__(self, parts: list[tuple[_core.Batch, int]], received: int) -> None:
        self._parts = parts
        self._received = received
        self._pieces: list[bytes] | None = None
        self._token = uuid.uuid4().hex
        self.rows = 0

    def insert(self, store: PointsStore) -> None:
        if self._pieces is None:
            self._pieces, self.rows = _core.build_block(self._parts, self._received)
        if self.rows:
            store.insert_points(self._pieces, rows=self.rows, token=self._token)


def _trim(group: Sequence[Points]) -> list[tuple[_core.Batch, int]]:
    """Each batch with the sequence after which it holds anything new."""
    parts = []
    for item in group:
        after = max(item.writer.built, item.first_seq - 1)
        if after < item.last_seq:
            parts.append((item.batch, after))
            item.writer.built = item.last_seq
    return parts


def _fresh_names(group: Sequence[Points]) -> dict[tuple[int, int], str]:
    """The names that the store does not have yet: (run, metric) to name."""
    return {
        (item.names.run, metric): name
        for item in group
        if item.new_metrics
        for metric, name in item.names.missing(item.new_metrics)
    }


def _store_fails(reason: str) -> ServiceError:
    return later(
        f"the store fails: {reason}; nothing is lost, send again later what was not acknowledged",
        after=2.0,
    )
