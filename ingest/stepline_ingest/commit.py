"""Group commit: batches of many writers become one block, one INSERT, one part. Acks follow the
commit.

Invariants
- One INSERT is in flight at a time. Batches that arrive meanwhile form the next group, whose block
  is built already when it is large enough. No other group is closed before that one's turn.
- Groups keep the order in which each writer's batches arrived, and a failure that leaves something
  unstored drops everything behind it too. So the stored sequences of a writer never have a hole,
  and the highest of them is its mark.
- A rejection is recorded when all before it of its writer is stored, and what lies behind it of its
  writer is put aside until then. The mark passes over a rejected range only together with what lies
  below. Other writers do not wait for it.
- A group has one token and its bytes are built once. While it is not known whether an INSERT took
  effect, the same bytes are sent with the same token, and no writer of the group gets a new stream.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor

from stepline import _core
from stepline_ingest.errors import ServiceError, later
from stepline_ingest.group import Group, PointsStore
from stepline_ingest.items import Points, Reject
from stepline_ingest.limits import Limits
from stepline_ingest.linger import Linger
from stepline_ingest.metrics import Refusal, metrics
from stepline_ingest.names import names_are_lost
from stepline_ingest.persistence import Persistence, Poisoned, Undecided, Unstored
from stepline_ingest.rejections import Recorder
from stepline_ingest.turns import FairQueue

log = logging.getLogger(__name__)


class Committer:
    """One shard: a queue, a task that closes groups, a task that stores them."""

    def __init__(
        self,
        store: PointsStore,
        *,
        limits: Limits,
        executor: Executor,
        now: Callable[[], float] = time.time,
        stored: Callable[[Iterable[str]], None] = lambda runs: None,
    ) -> None:
        """EXECUTOR has a thread for the INSERT, one that builds the next block, and one that
        records rejections. STORED hears of the runs of each group that was stored; it must be quick
        and must not fail."""
        self._store = store
        self._limits = limits
        self._executor = executor
        self._now = now
        self._stored = stored
        self._linger = Linger(limits)
        self._persistence = Persistence(executor, limits)
        self._recorder = Recorder(
            store,
            limits=limits,
            executor=executor,
            now=now,
            recorded=self._put_by,
            lost=self._lose_rejects,
            gave_up=self._send_rejects_away,
        )
        self._queue = FairQueue()
        self._ahead: Group | None = None
        """Closed, and next in turn: being built, or waiting for the INSERT before it to end."""
        self._storing: Group | None = None
        self._built = asyncio.Event()
        """The next group is ready to be stored, or there will be none."""
        self._no_more = False
        self._first_arrival = self._last_arrival = 0.0
        """Of what is queued, by the clock of the loop."""
        self._wake = asyncio.Event()
        """There may be a group to close."""
        self._wanted: float = math.inf
        """Queued points that are worth waking up for."""
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
        self._wake.set()
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
        return self._queue.rows

    @property
    def recording(self) -> int:
        """Rejections that are being recorded."""
        return len(self._recorder.unrecorded)

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
            self._last_arrival = asyncio.get_running_loop().time()
            if not self._queue.ready:
                self._first_arrival = self._last_arrival
            self._queue.push(item)
            if self._queue.rows >= self._wanted:
                self._wake.set()

    async def _run(self) -> None:
        tasks = [
            asyncio.create_task(self._close_groups(), name="group former"),
            asyncio.create_task(self._store_groups(), name="group storer"),
            asyncio.create_task(self._recorder.run(), name="recorder"),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- closing groups ---

    async def _close_groups(self) -> None:
        """Until stopped and nothing is queued."""
        try:
            while await self._may_close():
                await self._worth_closing()
                group = self._take()
                if group.items:
                    await self._build(group)
        finally:
            self._no_more = True
            self._built.set()

    async def _may_close(self) -> bool:
        """Waits until something may be taken, and the group before it has had its turn. False when
        nothing will come any more."""
        while self._ahead is not None or not self._queue.ready:
            if self._stopping and not self._queue and self._ahead is None:
                return False
            await self._sleep(0 if self._ahead is None else math.inf)
        return True

    async def _worth_closing(self) -> None:
        """Waits until what is queued is worth an INSERT, or has waited long enough."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            if self._storing is not None:
                if self._queue.rows >= self._limits.group_ahead_rows:
                    break
                await self._sleep(self._limits.group_ahead_rows)
                continue
            if self._queue.rows >= self._limits.group_target_rows:
                break
            silent = self._last_arrival + self._linger.quiet
            patience = min(silent, self._first_arrival + self._linger.window) - loop.time()
            if patience <= 0:
                break
            await self._sleep(self._limits.group_target_rows, patience)

    async def _sleep(self, wanted: float, patience: float | None = None) -> None:
        """Until WANTED points are queued, an INSERT ended, the service stops, or PATIENCE seconds
        have passed."""
        self._wanted = wanted
        self._wake.clear()
        timer = None
        if patience is not None:
            timer = asyncio.get_running_loop().call_later(patience, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            self._wanted = math.inf
            if timer is not None:
                timer.cancel()

    def _take(self) -> Group:
        """The next group; empty when everything that is queued lies behind rejections that are not
        recorded yet. Rejections are recorded behind the points, so points that come behind a
        rejection of their writer are not of the same group."""
        limits = self._limits
        behind = {reject.writer.binding.writer for reject in self._unrecorded()}
        points: list[Points] = []
        rejects: list[Reject] = []
        rejected: set[bytes] = set()
        rows = held = 0
        while self._queue.ready:
            item = self._queue.first()
            writer = item.writer.binding.writer
            if writer in behind or (writer in rejected and isinstance(item, Points)):
                self._queue.put_aside()
                continue
            rows += item.batch.points if isinstance(item, Points) else 0
            held += item.held
            if (points or rejects) and (rows > limits.group_rows or held > limits.group_bytes):
                break
            if isinstance(item, Reject):
                rejects.append(item)
                rejected.add(writer)
            else:
                points.append(item)
            self._queue.pop()
        if points or rejects:
            self._first_arrival = asyncio.get_running_loop().time()
        return self._group(points, rejects)

    def _unrecorded(self) -> list[Reject]:
        """Rejections that were taken and are not recorded yet."""
        storing = self._storing.rejects if self._storing is not None else ()
        return [*self._recorder.unrecorded, *(it for it in storing if not it.settled)]

    def _group(self, points: Sequence[Points], rejects: Sequence[Reject] = ()) -> Group:
        return Group(points, rejects, received=int(self._now()), store=self._store)

    async def _build(self, group: Group) -> None:
        """Makes GROUP the next one to be stored. When its block cannot be built, that is found
        again, and dealt with, when it is its turn."""
        self._ahead = group
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, group.build)
        except (Exception, _core.PanicException) as error:
            log.warning("a block could not be built ahead of its turn: %s", error)
        if self._ahead is group:
            self._built.set()
        else:
            group.close()  # dropped while it was being built

    # --- storing them ---

    async def _store_groups(self) -> None:
        while self._ahead is not None or not self._no_more:
            await self._built.wait()
            self._built.clear()
            group, self._ahead = self._ahead, None
            if group is None:
                continue
            self._storing = group
            self._wake.set()
            try:
                await self._commit(group)
            except Unstored as failure:
                if isinstance(failure, Undecided):
                    for item in group.items:
                        item.writer.doubt()
                self._lose(group.items, str(failure))
            self._storing = None
            group.close()  # not when this task was cancelled: an INSERT may still read the block
            self._wake.set()
            self._linger.observe(arrived_meanwhile=self._queue.ready or self._ahead is not None)
        self._recorder.finish()

    async def _commit(self, group: Group) -> None:
        if group.points:
            await self._store_points(group)
        self._recorder.add([reject for reject in group.rejects if not reject.settled])

    async def _store_points(self, group: Group) -> None:
        try:
            await self._insert(group)
        except Poisoned as poisoned:
            if len(group.points) == 1:
                await self._put_aside(group.points[0], str(poisoned))
                return
            singles = group.split()
            log.warning(
                "a group of %d batches is stored one by one: %s", len(group.points), poisoned
            )
            for single in singles:
                try:
                    if not single.points[0].settled:
                        await self._store_points(single)
                except Unstored:
                    single.close()
                    raise
                single.close()
        else:
            self._settle(group.points)

    async def _insert(self, group: Group) -> None:
        """Returns when GROUP is stored. Raises Poisoned or Unstored when it is known not to be."""
        names = group.names()
        if names:
            await self._persistence.until_known(
                lambda: self._store.insert_names(names), self._send_group_away
            )
            group.confirm_names()
        begun = time.monotonic()
        if await self._persistence.until_known(group.insert, self._send_group_away):
            await self._look_for(group)
        self.groups += group.rows > 0
        self.rows += group.rows
        if group.rows:
            _report(group, time.monotonic() - begun)

    async def _look_for(self, group: Group) -> None:
        """The engine notes a token before the part is in its place. So the success of a repetition
        may mean no more than that the token is known. Raises Undecided unless GROUP is there."""
        try:
            there = await asyncio.wait_for(group.is_there(), self._limits.store_patience)
        except Exception as error:
            raise Undecided(f"what it has cannot be read: {error!r}") from error
        if not there:
            raise Undecided("it takes an INSERT for done of which nothing is there")

    async def _put_aside(self, item: Points, reason: str) -> None:
        """ITEM would spoil every group that it is in."""
        log.error("%s is rejected: %s", item, reason)
        reject = Reject(
            writer=item.writer,
            sink=item.sink,
            account=item.account,
            first_seq=item.first_seq,
            last_seq=item.last_seq,
            nbytes=item.nbytes,
            held=item.held,
            reason=reason,
        )
        received = int(self._now())
        try:
            await self._persistence.until_known(
                lambda: self._store.insert_rejects([reject], received), self._send_group_away
            )
        except Poisoned as error:
            refused = _store_fails(f"a rejected batch cannot be recorded: {error}")
            self._drop_from(item, refused)
            return
        self._put_by([reject])
        item.settled = True
        if item.names.missing(item.new_metrics):
            self._drop_from(item, names_are_lost())
            item.sink.fail(names_are_lost())

    # --- telling what became of it ---

    def _put_by(self, rejects: Sequence[Reject]) -> None:
        """They are recorded, which settles their ranges."""
        for reject in rejects:
            metrics.rejected(reject.cause)
            self._release(reject)
            reject.writer.advance(reject.last_seq)
            reject.sink.rejected(
                reject.first_seq, reject.last_seq, reject.reason, nbytes=reject.nbytes
            )
            self._queue.restore(reject.writer.binding.writer)
        self._wake.set()

    def _settle(self, points: Sequence[Points]) -> None:
        now = time.monotonic()
        for item in points:
            item.writer.advance(item.last_seq)
            self._release(item)
            metrics.stored(nbytes=item.nbytes, seconds=now - item.arrived)
        for item in points:
            item.sink.stored()
        self._stored({item.writer.binding.run_id for item in points})

    def _lose(self, items: Sequence[Points | Reject], reason: str) -> None:
        """ITEMS are known not to be stored. What lies behind them goes with them."""
        self._drop([*items, *self._clear()], _store_fails(reason))
        self._wake.set()

    def _lose_rejects(self, rejects: Sequence[Reject], reason: str) -> None:
        """REJECTS are known not to be recorded. What lies behind them of their writers, none of
        which was taken, goes with them."""
        self._drop([*rejects, *self._behind(rejects)], _store_fails(reason))
        self._wake.set()

    def _behind(self, rejects: Sequence[Reject]) -> list[Points | Reject]:
        """Takes out of the queue what it has of the writers of REJECTS."""
        return [item for reject in rejects for item in self._queue.take_writer(reject)]

    def _drop_from(self, item: Points, error: ServiceError) -> None:
        """ITEM, unless it is settled, and what lies behind it of its writer, wherever that is. Of a
        group that holds some of it, nobody's can be stored: others are sent away."""
        storing = self._storing.items if self._storing is not None else []
        behind = [it for it in storing if it.writer is item.writer]
        if self._ahead is not None and any(it.writer is item.writer for it in self._ahead.items):
            behind += self._clear()
        else:
            behind += self._queue.take_writer(item)
        self._drop([it for it in behind if it.writer is item.writer], error)
        others = [it for it in behind if it.writer is not item.writer]
        self._drop(others, _store_fails("it refuses a batch of another writer"))
        self._wake.set()

    def _clear(self) -> list[Points | Reject]:
        """Everything that is neither being stored nor being recorded."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return self._queue.clear()
        if self._built.is_set():
            self._built.clear()
            ahead.close()
        return [*ahead.items, *self._queue.clear()]

    def _drop(self, items: Sequence[Points | Reject], error: ServiceError) -> None:
        """ITEMS are known not to be stored; their clients will send them again. Without a pause for
        other tasks: a stream that has failed hands nothing over any more, so nothing overtakes what
        was dropped."""
        for item in items:
            if not item.settled:
                self._release(item)
                item.writer.retreat()
                item.sink.fail(error)

    def _release(self, item: Points | Reject) -> None:
        item.settled = True
        item.writer.leave(item.nbytes)
        item.account.release(item.held)

    def _send_group_away(self, reason: str) -> None:
        """The outcome of the group is unknown and stays so. It is not settled, but its clients need
        not wait, nor those of what lies behind it."""
        error = _store_fails(reason)
        for item in self._storing.items if self._storing is not None else ():
            item.sink.fail(error)
        self._drop(self._clear(), error)
        self._wake.set()

    def _send_rejects_away(self, rejects: Sequence[Reject], reason: str) -> None:
        """As above, and nobody else is concerned."""
        error = _store_fails(reason)
        for reject in rejects:
            reject.sink.fail(error)
        self._drop(self._behind(rejects), error)
        self._wake.set()


def _report(group: Group, seconds: float) -> None:
    points, batches = group.rows, len(group.points)
    metrics.group(points=points, batches=batches, seconds=seconds)
    log.debug(
        "stored %d points of %d batches in %.3f s",
        points,
        batches,
        seconds,
        extra={
            "event": "group_committed",
            "points": points,
            "batches": batches,
            "seconds": round(seconds, 4),
        },
    )


def _store_fails(reason: str) -> ServiceError:
    return later(
        f"the store fails: {reason}; nothing is lost, send again later what was not acknowledged",
        after=2.0,
    )
