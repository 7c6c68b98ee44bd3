"""Keeps raw_fields true to the configs and summaries of runs.

Invariants
- raw_runs is the truth. A run whose version is not yet in raw_indexed is indexed anew, so a process
  that dies at any point, and a store that is older than these tables, cost only time.
- The keys that raw_indexed names are those that raw_fields has rows of: they are written after
  those rows. A key that is gone gets a row of the kind NONE.
- Who reads asks for `flush` first, and so sees what was written before.
- A run that cannot be indexed, whatever is wrong with it, keeps nobody waiting: it is put aside,
  and tried again when it changes or the service starts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepline._core import siphash64
from stepline_ingest.errors import later
from stepline_ingest.json_texts import json_value
from stepline_ingest.metrics import Refusal
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from .fields import MISSING, Value, fields_of

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds in which changes gather, when nobody asks."""
PATIENCE = 5.0
"""Seconds that somebody who reads waits for the index of an older store."""
RETRY = 5.0
"""Seconds until the next attempt at a store that failed."""
_BATCH = 500
"""Runs that are indexed by one INSERT."""
_BATCH_KEYS = 50_000
"""Keys of them, with those that they had before: some have ten thousand."""
_BATCH_BYTES = 32 << 20
"""Of the configs and summaries that are read together from the store."""

_BEHIND = (
    "SELECT r.run, r.version FROM raw_runs AS r FINAL "
    "LEFT JOIN (SELECT run, max(version) AS version FROM raw_indexed GROUP BY run) AS i "
    "ON i.run = r.run WHERE i.version < r.version ORDER BY r.run"
)
_SIZES = (
    "SELECT run, length(config) + length(summary) FROM raw_runs FINAL "
    "WHERE run IN {runs:Array(UInt64)}"
)
_RUNS = (
    "SELECT run, project, config, summary, version FROM raw_runs FINAL "
    "WHERE run IN {runs:Array(UInt64)}"
)
_COUNTS = "SELECT run, length(keys) FROM raw_indexed FINAL WHERE run IN {runs:Array(UInt64)}"
_INDEXED = "SELECT run, keys, digests FROM raw_indexed FINAL WHERE run IN {runs:Array(UInt64)}"
_FIELD_COLUMNS = ("key", "run", "project", "kind", "number", "text", "version")
_INDEXED_COLUMNS = ("run", "version", "keys", "digests")


@dataclass(frozen=True, slots=True)
class _Change:
    """A version of a run that is to be indexed."""

    run: int
    project: str
    config: dict[str, Any]
    summary: dict[str, Any]
    version: int


class FieldIndex:
    """Writes what is behind, in a thread, until `stop`."""

    def __init__(self, store: Store, *, pause: float = PAUSE) -> None:
        self._store = store
        self._pause = pause
        self._guard = threading.Lock()
        self._pending: dict[int, _Change] = {}
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._caught_up = threading.Event()
        self._caught_up.set()

    def start(self) -> None:
        """Brings everything up to date first."""
        self._caught_up.clear()
        self._thread = threading.Thread(target=self._run, name="field-index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the store nothing more; what is left is done at the next start."""
        self._stopping.set()
        self._wake.set()

    def note(self, run: RunRecord) -> None:
        """RUN was stored as it is. It is not changed afterwards."""
        change = _Change(siphash64(run.run_id), run.project, run.config, run.summary, run.version)
        with self._guard:
            known = self._pending.get(change.run)
            if known is None or known.version <= change.version:
                self._pending[change.run] = change
        self._wake.set()

    def flush(self) -> None:
        """Returns when what was noted before is in the tables. Raises StoreError, and
        ServiceError(UNAVAILABLE) while the runs of an older store are still being indexed: half of
        them would look like all of them."""
        if not self._caught_up.wait(PATIENCE):
            raise later(
                "the configs of runs are being indexed, once after the start of the service: "
                "try again soon, or list runs without filter, sort and columns",
                refusal=Refusal.STARTING,
            )
        with self._writing:
            with self._guard:
                taken, self._pending = self._pending, {}
            try:
                changes = list(taken.values())
                for first in range(0, len(changes), _BATCH):
                    self._write_what_can_be(changes[first : first + _BATCH])
            except BaseException:
                with self._guard:
                    self._pending = {**taken, **self._pending}
                raise

    def catch_up(self) -> int:
        """Indexes the runs that an earlier process, or an older version, left; how many those
        were. Raises StoreError."""
        behind = [int(str(run)) for run, _ in self._store.query(_BEHIND)]
        if behind:
            log.info("indexing the configs of %d runs", len(behind))
        for first in range(0, len(behind), _BATCH):
            if self._stopping.is_set():
                break
            for some in self._portions(behind[first : first + _BATCH]):
                with self._writing:
                    self._write_what_can_be(list(self._stored(some)))
        return len(behind)

    def _portions(self, runs: Sequence[int]) -> Iterator[list[int]]:
        """RUNS, as many at a time as may be read together; one at least."""
        sizes = self._numbers(_SIZES, runs)
        some: list[int] = []
        size = 0
        for run in runs:
            size += sizes.get(run, 0)
            if some and size > _BATCH_BYTES:
                yield some
                some, size = [], sizes.get(run, 0)
            some.append(run)
        yield some

    def _numbers(self, sql: str, runs: Sequence[int]) -> dict[int, int]:
        rows = self._store.query(sql, {"runs": list(runs)})
        return {int(str(run)): int(str(number)) for run, number in rows}

    def _stored(self, runs: Sequence[int]) -> Iterable[_Change]:
        for run, project, config, summary, version in self._store.query(
            _RUNS, {"runs": list(runs)}
        ):
            try:
                values = json_value(str(config)), json_value(str(summary))
            except Exception:
                _put_aside(int(str(run)))
                continue
            yield _Change(int(str(run)), str(project), *values, int(str(version)))

    def _write_what_can_be(self, changes: Sequence[_Change]) -> None:
        """All, or where something is wrong with one of them, all others. Raises StoreError."""
        try:
            self._write(changes)
        except StoreError:
            raise
        except Exception:
            if len(changes) == 1:
                _put_aside(changes[0].run)
                return
            for change in changes:
                self._write_what_can_be([change])

    def _write(self, changes: Sequence[_Change]) -> None:
        if not changes:
            return
        before = self._numbers(_COUNTS, [change.run for change in changes])
        together: list[tuple[_Change, dict[str, Value]]] = []
        keys = 0
        for change in changes:
            fields = _fields(change)
            count = len(fields) + before.get(change.run, 0)
            keys += count
            if together and keys > _BATCH_KEYS:
                self._write_fields(together)
                together, keys = [], count
            together.append((change, fields))
        self._write_fields(together)

    def _write_fields(self, changes: Sequence[tuple[_Change, dict[str, Value]]]) -> None:
        known: dict[int, dict[str, int]] = {}
        asked = [change.run for change, _ in changes]
        for run, keys, digests in self._store.query(_INDEXED, {"runs": asked}):
            assert isinstance(keys, list)
            assert isinstance(digests, list)
            known[int(str(run))] = dict(zip(keys, digests, strict=True))
        rows: list[tuple[object, ...]] = []
        marks: list[tuple[object, ...]] = []
        for change, fields in changes:
            digests = {key: _digest(value) for key, value in fields.items()}
            before = known.get(change.run, {})
            for key, value in fields.items():
                if before.get(key) != digests[key]:
                    rows.append(_row(change, key, value))
            rows += [_row(change, key, MISSING) for key in before if key not in fields]
            marks.append((change.run, change.version, list(digests), list(digests.values())))
        self._store.insert_rows("raw_fields", _FIELD_COLUMNS, rows)
        self._store.insert_rows("raw_indexed", _INDEXED_COLUMNS, marks)

    def _run(self) -> None:
        behind = True
        while not self._stopping.is_set():
            try:
                if behind:
                    self.catch_up()
                    behind = False
                    self._caught_up.set()
                self.flush()
            except StoreError as error:
                log.warning("configs could not be indexed, trying again: %s", error)
                self._stopping.wait(RETRY)
                continue
            except Exception:
                log.exception("configs could not be indexed, trying again")
                self._stopping.wait(RETRY)
                continue
            self._wake.wait()
            self._stopping.wait(self._pause)
            self._wake.clear()


def _put_aside(run: int) -> None:
    """While the exception is handled."""
    log.exception(
        "run %d cannot be indexed, so that filters do not find it: report this with its config", run
    )


def _fields(change: _Change) -> dict[str, Value]:
    return {
        f"{space}.{key}": value
        for space, values in (("config", change.config), ("summary", change.summary))
        for key, value in fields_of(values).items()
    }


def _digest(value: Value) -> int:
    return siphash64(f"{int(value.kind)} {value.text}")


def _row(change: _Change, key: str, value: Value) -> tuple[object, ...]:
    return (
        key,
        change.run,
        change.project,
        int(value.kind),
        value.number,
        value.text,
        change.version,
    )
