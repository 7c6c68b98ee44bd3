"""What the service remembers about runs: a cache over the tables, and the lock of each run.

Invariants
- The tables are the truth; the cache is filled, changed and read only by who holds the lock of the
  run. One service owns the store, so nobody else changes them.
- A change is in the tables before it is in the cache.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar
from weakref import WeakValueDictionary

from stepline_ingest import access
from stepline_ingest.catalogue.changes import ConfigChange, changed_keys
from stepline_ingest.coalesce import Coalescer, Lookup
from stepline_ingest.deleted_runs import DeletedRuns
from stepline_ingest.errors import ServiceError
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import RUNNING, Attempt, End, Missing, RunRecord
from stepline_ingest.run_request import check_run_id, is_run_id
from stepline_ingest.run_weight import weight_of_end, weight_of_fields, weight_of_run
from stepline_ingest.runs_contract import FinishRow, RunTables, WriterRow
from stepline_ingest.unknown_runs import UnknownRuns
from stepline_ingest.writers import Binding, conflicting

Result = TypeVar("Result")
Row = TypeVar("Row")

_LOADED_AT_ONCE = 100
"""Runs of one look-up: their configs may be large."""
_RUN_WEIGHT = 4 << 10
"""Bytes of a run that count as another row."""


class RunsRepository:
    """Runs, attempts and writers, on the event loop."""

    def __init__(self, tables: RunTables, executor: Executor, limits: Limits) -> None:
        self._tables = tables
        self._executor = executor
        self._limits = limits
        self._cache: OrderedDict[str, RunRecord] = OrderedDict()
        self._weights: dict[str, tuple[int, int]] = {}
        """Of what is in the cache: of a run, and of its config and summary alone."""
        self._cached_bytes = 0
        self._bindings: OrderedDict[bytes, Binding] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._deleted = DeletedRuns()
        self._unknown = UnknownRuns(
            tables.recent_ids, self._blocking, limits, deleted=self._deleted
        )
        # A thousand runs that start together cost a few queries and inserts.
        self._loads = Lookup(self._load, max_keys=_LOADED_AT_ONCE)
        self._runs = Coalescer(
            self._put(_without_sizes(tables.put_runs)), weight=lambda row: 1 + row[1] // _RUN_WEIGHT
        )
        self._attempts = Coalescer(self._put(tables.put_attempts))
        self._descents = Coalescer(self._put(tables.put_descents))
        self._writers = Coalescer(self._register)
        self._finishes = Coalescer(self._put(tables.put_finishes))

    def lock(self, run_id: str) -> asyncio.Lock:
        """Held by whoever reads a run in order to change it."""
        lock = self._locks.get(run_id)
        if lock is None:
            lock = self._locks[run_id] = asyncio.Lock()
        return lock

    async def preload(self, run_ids: Sequence[str]) -> None:
        """Reads those that are not at hand all at once, so that require() does not one by one."""
        cold = [one for one in dict.fromkeys(run_ids) if one not in self._cache]
        if len(cold) > _LOADED_AT_ONCE:
            # Their configs are read only of those that the caller may see.
            there, own = await self.projects(cold), access.project()
            cold = [one for one in cold if one in there and own in (None, there[one])]
        if len(cold) < 2:
            return
        for first in range(0, len(cold), _LOADED_AT_ONCE):
            # Nobody waits for more than the run that it names.
            await asyncio.gather(*map(self._warm, cold[first : first + _LOADED_AT_ONCE]))

    async def _warm(self, run_id: str) -> None:
        async with self.lock(run_id):
            await self.get(run_id)

    async def projects(self, run_ids: Collection[str]) -> dict[str, str]:
        """The projects of those of RUN_IDS that are there, whosever they are."""
        cold = [one for one in run_ids if is_run_id(one) and one not in self._deleted]
        found = {one: self._cache[one].project for one in cold if one in self._cache}
        cold = [one for one in cold if one not in found]
        return found | await self._blocking(lambda: self._tables.projects(cold)) if cold else found

    # --- under the lock of the run ---

    async def get(self, run_id: str) -> RunRecord | None:
        """The run as it is stored, whosever it is; not to be changed."""
        if run_id in self._deleted or not is_run_id(run_id):
            return None
        run = self._cache.get(run_id)
        if run is not None:
            self._cache.move_to_end(run_id)
            return run
        run = await self._loads.get(run_id)
        if run is not None:
            self._remember(run)
        return run

    async def require(
        self, run_id: str, *, remedy: str = "check the id, or list the runs with `stepline runs`"
    ) -> RunRecord:
        """The run; NOT_FOUND when it is not there, and in the same words when it belongs to
        another project than the caller's key: whether it exists is not the caller's business.
        INVALID_ARGUMENT for what is no id."""
        run = await self.get(check_run_id(run_id))
        if run is None or access.project() not in (None, run.project):
            raise await self.not_found(run_id, remedy=remedy)
        return run

    async def create(self, run: RunRecord) -> None:
        """A new run with its first attempt."""
        # The run last: without an attempt it would be half a run, an attempt without a run is
        # nothing.
        done = await asyncio.gather(
            self._descents.add(run.descent),
            self._put_attempt(run.run_id, run.newest),
            return_exceptions=True,
        )
        for error in done:
            if error is not None:
                raise error
        await self.save(run)

    async def begin(self, run: RunRecord, attempt: Attempt, told: int | None) -> RunRecord:
        """The next attempt of a run, TOLD to begin at a step or not."""
        descent = run.descent.begun(attempt.number, told)
        # Layers of an attempt that is not there are passed over.
        await self._descents.add(descent)
        await self._put_attempt(run.run_id, attempt)
        begun = run.copy()
        begun.descent = descent
        begun.attempts.append(attempt)
        self._remember(begun, same_fields=True)
        return begun

    async def redescend(self, run: RunRecord, descent: Descent) -> RunRecord:
        """What RUN shows is something else from now on."""
        await self._descents.add(descent)
        changed = run.copy()
        changed.descent = descent
        self._remember(changed, same_fields=True)
        return changed

    async def change_attempt(self, run: RunRecord, attempt: Attempt) -> RunRecord:
        """Stores ATTEMPT in place of that with its number."""
        await self._put_attempt(run.run_id, attempt)
        changed = run.copy()
        changed.attempts = [a if a.number != attempt.number else attempt for a in run.attempts]
        self._remember(changed, same_fields=True)
        return changed

    async def _put_attempt(self, run_id: str, attempt: Attempt) -> None:
        attempt.version = max(time.time_ns(), attempt.version + 1)
        if attempt.state == RUNNING:
            attempt.ended_ms = None
        elif attempt.ended_ms is None:
            attempt.ended_ms = time.time_ns() // 1_000_000
        await self._attempts.add((run_id, attempt))

    async def save(self, run: RunRecord) -> None:
        """The fields of the run itself."""
        # A clock that was set back must not make an older row win.
        run.version = max(time.time_ns(), run.version + 1)
        run.stored_outcome = run.outcome
        fields = weight_of_fields(run)
        await self._runs.add((run, weight_of_run(run, fields)))
        self._remember(run, fields)

    async def change_config(self, run: RunRecord, changed: RunRecord) -> None:
        """Remembers what CHANGED, which is saved next, has otherwise in its config than RUN."""
        keys = changed_keys(run.config, changed.config) if run.config != changed.config else ()
        if not keys:
            return
        caller = access.caller()
        change = ConfigChange(
            run_id=run.run_id,
            time_ms=changed.updated_ms,
            attempt=changed.newest.number,
            who=caller.name if caller is not None else "",
            version=time.time_ns(),
            keys=keys,
        )
        await self._blocking(lambda: self._tables.put_config_change(change))

    async def delete(self, run: RunRecord) -> None:
        """For ever. What was being written without the lock is removed with the rest."""
        await self._blocking(lambda: self._tables.put_deletion(run, time.time_ns() // 1_000_000))
        self._deleted.add({run.run_id: run.project})
        self._forget(run.run_id)
        for writer in [w for w, place in self._bindings.items() if place.run_id == run.run_id]:
            del self._bindings[writer]

    # --- deleted runs ---

    async def load_deleted(self) -> None:
        """Once, before anything else is asked."""
        self._deleted.add(await self._blocking(self._tables.deleted))

    def refuse_deleted(self, run_id: str, *, whosever: bool = False) -> None:
        """See DeletedRuns.refuse()."""
        self._deleted.refuse(run_id, whosever=whosever)

    # --- without the lock: rows of many ranks go together ---

    async def bind(self, binding: Binding, *, host: str, pid: int, created_ms: int) -> None:
        """Remembers the place of a writer for ever. INVALID_ARGUMENT when it has another one."""
        known = self._bindings.get(binding.writer)
        if known is None:
            await self._writers.add(
                WriterRow(binding=binding, host=host, pid=pid, created_ms=created_ms)
            )
            known = self._bindings[binding.writer]
        if known != binding:
            raise conflicting(binding, known)

    async def finish(self, binding: Binding, end: End, *, finished_ms: int) -> None:
        """Remembers how a rank ended. Its last word counts; that it vanished counts only as long as
        it has said nothing."""
        end = replace(end, finished_ms=finished_ms)
        await self._finishes.add(FinishRow(binding=binding, end=end, finished_ms=finished_ms))

        def ended(attempt: Attempt) -> None:
            attempt.ends[binding.rank] = end
            attempt.lost = False

        await self.amend(
            binding.run_id, binding.attempt, ended, rank=binding.rank, updated_ms=finished_ms
        )

    async def place_of(self, writer: bytes) -> Binding | None:
        """The place that the writer has already."""
        known = self._bindings.get(writer)
        if known is not None:
            return known
        found = await self._blocking(lambda: self._tables.find_writers([writer]))
        return found[0] if found else None

    async def has_begun(self, run_id: str, attempt: int, rank: int) -> bool:
        """Whether a writer of that place is known."""
        return await self._blocking(lambda: self._tables.has_begun(run_id, attempt, rank))

    async def begun_elsewhere(self, place: Binding) -> bool:
        """Whether the rank has begun on another host after this writer, by the clocks of both. On
        the same host it need not be a new start: a forked child is a writer as well."""
        return await self._blocking(lambda: self._tables.begun_elsewhere(place))

    async def revive(self, place: Binding) -> None:
        """A rank that has ended has begun anew in the same attempt: its end is none."""
        now_ms = time.time_ns() // 1_000_000
        await self._finishes.add(FinishRow(binding=place, end=None, finished_ms=now_ms))

        def begun(attempt: Attempt) -> None:
            attempt.ends.pop(place.rank, None)
            attempt.lost = False

        await self.amend(place.run_id, place.attempt, begun, rank=place.rank)

    async def amend(
        self,
        run_id: str,
        number: int,
        change: Callable[[Attempt], None],
        *,
        rank: int | None = None,
        updated_ms: int | None = None,
    ) -> None:
        """Changes how an attempt fares, and stores it where its outcome is another one then. RANK
        is the one whose end changes."""
        async with self.lock(run_id):
            run = await self.get(run_id)
            attempt = run.attempt(number) if run is not None else None
            if run is None or attempt is None:
                return
            before = (attempt.state, attempt.exit_code, attempt.preempting)
            ended = attempt.ends.get(rank) if rank is not None else None
            change(attempt)
            if rank is not None:
                self._grow(run_id, weight_of_end(attempt.ends.get(rank)) - weight_of_end(ended))
            if (attempt.state, attempt.exit_code, attempt.preempting) != before:
                run = await self.change_attempt(run, attempt)
            if run.outcome != run.stored_outcome:
                now_ms = time.time_ns() // 1_000_000
                # The time of the host may be a year off.
                said = now_ms if updated_ms is None else min(updated_ms, now_ms)
                changed = run.copy()
                changed.updated_ms = max(said, run.updated_ms)
                await self.save(changed)

    async def running(self) -> Sequence[tuple[str, str, int]]:
        """The newest attempts of the runs that are stored as running."""
        return await self._blocking(self._tables.running)

    async def forks(self, run_id: str) -> Sequence[str]:
        """The runs that show points of RUN_ID besides itself."""
        found = await self._blocking(lambda: self._tables.forks(run_id))
        return [fork for fork in found if fork not in self._deleted]

    async def missing(self, run_id: str) -> Sequence[Missing]:
        """What the ranks of a run logged and was never stored, the latest first."""
        return await self._blocking(lambda: self._tables.missing(run_id))

    async def run_ids(self, runs: Sequence[int]) -> dict[int, str]:
        """The ids of RUNS, by hash."""
        return await self._blocking(lambda: self._tables.run_ids(runs))

    async def list(
        self, project: str, *, limit: int, offset: int
    ) -> tuple[list[tuple[RunRecord, tuple[str, str]]], int]:
        """Newest first, each without config and summary but with the texts of both; and how many
        there are in all. An empty project means all that the caller may see."""
        own = access.project()
        if own is not None and project not in ("", own):
            return [], 0
        wanted = project if own is None else own

        def read() -> tuple[list[tuple[RunRecord, tuple[str, str]]], int]:
            run_ids, total = self._tables.page(wanted, limit, offset)
            run_ids = [run_id for run_id in run_ids if run_id not in self._deleted]
            texts = self._tables.texts(run_ids, self._limits.max_listed_bytes)
            found = {run.run_id: run for run in self._tables.load(list(texts), bare=True)}
            shown = [run_id for run_id in texts if run_id in found]
            return [(found[run_id], texts[run_id]) for run_id in shown], total

        return await self._blocking(read)

    async def not_found(self, run_id: str, *, remedy: str) -> ServiceError:
        """Says so, and names runs with similar ids."""
        return await self._unknown.error(run_id, remedy=remedy)

    # --- inside ---

    async def _register(self, rows: Sequence[WriterRow]) -> None:
        """Stores the writers that are new; those that are there keep the place that they have."""
        unique = {row.binding.writer: row for row in rows}

        def store() -> dict[bytes, Binding]:
            known = {found.writer: found for found in self._tables.find_writers(list(unique))}
            fresh = [row for writer, row in unique.items() if writer not in known]
            if fresh:
                self._tables.put_writers(fresh)
            return known | {row.binding.writer: row.binding for row in fresh}

        for writer, binding in (await self._blocking(store)).items():
            self._bindings[writer] = binding
            self._bindings.move_to_end(writer)
        while len(self._bindings) > max(self._limits.max_cached_writers, len(unique)):
            self._bindings.popitem(last=False)

    def _put(
        self, insert: Callable[[Sequence[Row]], None]
    ) -> Callable[[Sequence[Row]], Awaitable[None]]:
        async def put(rows: Sequence[Row]) -> None:
            await self._blocking(lambda: insert(rows))

        return put

    async def _load(self, run_ids: Sequence[str]) -> dict[str, RunRecord]:
        found = await self._blocking(lambda: self._tables.load(run_ids))
        return {run.run_id: run for run in found}

    def _remember(
        self, run: RunRecord, fields: int | None = None, *, same_fields: bool = False
    ) -> None:
        """FIELDS is the weight of its config and summary where it is known; SAME_FIELDS says that
        they are those that it had."""
        if same_fields and run.run_id in self._weights:
            fields = self._weights[run.run_id][1]
        self._forget(run.run_id)
        if fields is None:
            fields = weight_of_fields(run)
        self._cache[run.run_id] = run
        self._weights[run.run_id] = 0, fields
        self._grow(run.run_id, weight_of_run(run, fields))

    def _grow(self, run_id: str, by: int) -> None:
        """A run takes so much more, if it is at hand. Others make room for it."""
        if run_id not in self._cache:
            return
        weight, fields = self._weights[run_id]
        self._weights[run_id] = weight + by, fields
        self._cached_bytes += by
        while len(self._cache) > 1 and (
            len(self._cache) > self._limits.max_cached_runs
            or self._cached_bytes > self._limits.max_cached_bytes
        ):
            self._forget(next(iter(self._cache)))

    def _forget(self, run_id: str) -> None:
        if self._cache.pop(run_id, None) is not None:
            self._cached_bytes -= self._weights.pop(run_id)[0]

    async def _blocking(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _without_sizes(
    put: Callable[[Sequence[RunRecord]], None],
) -> Callable[[Sequence[tuple[RunRecord, int]]], None]:
    return lambda rows: put([run for run, _ in rows])
