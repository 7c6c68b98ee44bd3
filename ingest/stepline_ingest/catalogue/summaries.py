"""Keeps raw_summaries: what each run shows of each metric, for tables of many runs.

Sorting 100,000 runs by a metric would otherwise read a rollup of each of them. The table follows
the points some seconds late; what is asked of one run is read from its rollups and is never late.

Invariants
- Rollups are the truth. raw_summarized says how many points of a run were stored when its rows were
  made; it is written after them. Where it differs from what is stored now, the rows are made anew.
  A run without a point shows nothing and has no row in either, unless it is a fork.
- A run that is slow to read is read seldom: for each second that it takes it waits 20. And after
  each second of reading the thread rests for three, so that runs that begin one after the other
  gather.
- A run that cannot be summed up, whatever is wrong with it, keeps no other waiting: it is put
  aside, and tried again when points come or the service starts.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stepline._core import siphash64
from stepline_ingest.lineage import is_uncut, uncut
from stepline_ingest.query.series import read_lineages, sources
from stepline_ingest.query.summaries import MetricSummary, summarize, summarize_whole
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.store.errors import StoreError

from .definitions import Definition, Definitions

log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between two readings of one run."""
SHARE = 20
"""Seconds of rest for each second that a run took."""
_REST = 3
"""The same of the thread, unless more than a batch is waiting."""
_LONGEST_REST = 4.0
ON_REQUEST = 0.1
"""Seconds that somebody who reads the table waits for what is behind."""
_BATCH = 200
_FEW = 8
"""Of a batch that somebody waits for: how wide its runs are is not known before."""
_IDLE = 30.0
_REMEMBERED = 100_000
_NEVER = (0.0, 0.0)

_BEHIND = (
    "SELECT r.run FROM (SELECT run, fork_run_id FROM raw_runs FINAL) AS r "
    "LEFT JOIN (SELECT run, sum(n) AS n FROM "
    "(SELECT run, count() AS n FROM raw_points GROUP BY run "
    "UNION ALL SELECT run, n FROM raw_kept WHERE width = 0) GROUP BY run) AS p ON p.run = r.run "
    "LEFT JOIN (SELECT run, max(version) AS newest, argMax(points, version) AS counted "
    "FROM raw_summarized GROUP BY run) AS s ON s.run = r.run "
    "WHERE s.counted != p.n OR (s.newest = 0 AND r.fork_run_id != '')"
)
_RUNS = (
    "SELECT run, run_id, fork_run_id != '' FROM raw_runs FINAL WHERE run IN {runs:Array(UInt64)}"
)
_POINTS = (
    "SELECT run, sum(n) FROM ("
    "SELECT run, count() AS n FROM raw_points WHERE run IN {runs:Array(UInt64)} GROUP BY run "
    "UNION ALL SELECT run, n FROM raw_kept WHERE width = 0 AND run IN {runs:Array(UInt64)} "
    "UNION ALL SELECT DISTINCT run, 0 FROM raw_summarized WHERE run IN {runs:Array(UInt64)}"
    ") GROUP BY run"
)
"""Of those that have a point, or had one."""
_NAMES = "SELECT DISTINCT run, metric, name FROM raw_metrics WHERE run IN {runs:Array(UInt64)}"
_STORED = (
    "SELECT run, metric, points, first, last, min, max, mean, best, shown FROM raw_summaries FINAL "
    "WHERE metric IN {metrics:Array(UInt64)} AND run IN {runs:Array(UInt64)}"
)
_COLUMNS = (
    "metric",
    "run",
    "project",
    "name",
    "points",
    "first",
    "last",
    "min",
    "max",
    "mean",
    "best",
    "shown",
    "version",
)
_MARK_COLUMNS = ("run", "points", "version")


class RunLoader(Protocol):
    """Where runs come from; SqlRunTables."""

    def load(self, run_ids: Sequence[str]) -> list[RunRecord]: ...


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands in the table of one metric of a run."""

    points: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    best: float
    shown: float

    def values(self) -> tuple[object, ...]:
        return (
            self.points,
            self.first,
            self.last,
            self.min,
            self.max,
            self.mean,
            self.best,
            self.shown,
        )

    def same(self, other: _Row | None) -> bool:
        """NaN is NaN."""
        return other is not None and repr(self) == repr(other)


_NOTHING = _Row(0, *(math.nan,) * 7)


class SummaryTable:
    """Makes rows anew where points came, in a thread, until `stop`."""

    def __init__(
        self,
        store: Store,
        runs: RunLoader,
        limits: Mapping[str, Setting],
        *,
        interval: float = INTERVAL,
        share: float = SHARE,
    ) -> None:
        self._store = store
        self._runs = runs
        self._limits = limits
        self._interval = interval
        self._share = share
        self._guard = threading.Lock()
        self._dirty: set[int] = set()
        self._due: dict[int, tuple[float, float]] = {}
        """When a run may be read again, and when somebody who waits may have it read."""
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Brings everything up to date first."""
        self._thread = threading.Thread(target=self._run, name="summaries", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the store nothing more; what is left is done at the next start."""
        self._stopping.set()
        self._wake.set()

    def touch(self, run_ids: Iterable[str]) -> None:
        """Points of these runs were stored, or what they show has changed."""
        self._add([siphash64(run_id) for run_id in run_ids])

    def refresh(self, *, patience: float = ON_REQUEST) -> None:
        """Does what is behind, for at most about PATIENCE seconds. Raises StoreError."""
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0 and not self._stopping.is_set():
            if not self._step(cheap=True, patience=left):
                return

    def catch_up(self) -> int:
        """Finds the runs that an earlier process, or an older version, left behind; how many those
        are. Raises StoreError."""
        behind = [int(str(run)) for (run,) in self._store.query(_BEHIND, {}, self._limits)]
        if behind:
            log.info("summing up the metrics of %d runs", len(behind))
        self._add(behind)
        return len(behind)

    def _add(self, runs: Collection[int]) -> None:
        with self._guard:
            self._dirty.update(runs)
        self._wake.set()

    def _run(self) -> None:
        behind = True
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if behind:
                    self.catch_up()
                    behind = False
                while self._step() == _BATCH and not self._stopping.is_set():
                    pass
            except StoreError as error:
                log.warning("metrics could not be summed up, trying again: %s", error)
                self._stopping.wait(5.0)
                continue
            except Exception:
                log.exception("metrics could not be summed up, trying again")
                self._stopping.wait(5.0)
                continue
            rest = min(_REST * (time.monotonic() - began), _LONGEST_REST)
            waiting = bool(self._dirty)
            self._wake.wait(self._interval / 2 if waiting else _IDLE)
            self._wake.clear()
            self._stopping.wait(max(self._interval / 4, rest))

    def _step(self, *, cheap: bool = False, patience: float = -1) -> int:
        """Reads some of the runs that are due, or are nearly so where they are CHEAP to read; how
        many. 0: there are none, or others were at it for all of PATIENCE seconds."""
        if not self._writing.acquire(timeout=patience):
            return 0
        try:
            now = time.monotonic()
            with self._guard:
                due = self._due
                ready = [run for run in self._dirty if due.get(run, _NEVER)[int(cheap)] <= now]
                taken = ready[: _FEW if cheap else _BATCH]
                self._dirty.difference_update(taken)
            if not taken:
                return 0
            try:
                self._write_what_can_be(taken)
            except BaseException:
                self._add(taken)
                raise
            end = time.monotonic()
            each = (end - now) / len(taken)
            later = end + max(self._interval, self._share * each)
            asked = end + self._interval / 4 if each < ON_REQUEST else later
            with self._guard:
                self._due.update(dict.fromkeys(taken, (later, asked)))
                if len(self._due) > _REMEMBERED:
                    self._due = {run: at for run, at in self._due.items() if at[0] > now}
            return len(taken)
        finally:
            self._writing.release()

    def _write_what_can_be(self, runs: Sequence[int]) -> None:
        """All, or where something is wrong with one of them, all others. Raises StoreError."""
        try:
            self._write(runs)
        except StoreError:
            raise
        except Exception:
            if len(runs) == 1:
                log.exception(
                    "run %d cannot be summed up, so that tables do not show its metrics: report "
                    "this with its config",
                    runs[0],
                )
                return
            for run in runs:
                self._write_what_can_be([run])

    def _write(self, runs: Sequence[int]) -> None:
        counted = self._store.query(_POINTS, {"runs": list(runs)}, self._limits)
        points = {int(str(run)): int(str(count)) for run, count in counted}
        known = self._store.query(_RUNS, {"runs": list(runs)}, self._limits)
        run_ids = [str(i) for run, i, forked in known if forked or int(str(run)) in points]
        if not run_ids:
            return
        records = self._runs.load(run_ids)
        names, shown = self._shown(records)
        stored = self._stored(list(shown), {metric for known in names.values() for metric in known})
        version = time.time_ns()
        rows: list[tuple[object, ...]] = []
        for record in records:
            run = siphash64(record.run_id)
            definitions = Definitions([record.config])
            for metric, name in names[run].items():
                found = shown[run].get(metric)
                row = _NOTHING if found is None else _row(found, definitions.of(name))
                before = stored.get((run, metric))
                if row.same(before) or (before is None and not row.points):
                    continue
                rows.append((metric, run, record.project, name, *row.values(), version))
        self._store.insert_rows("raw_summaries", _COLUMNS, rows)
        done = [siphash64(record.run_id) for record in records]
        marks = [(run, points.get(run, 0), version) for run in done]
        self._store.insert_rows("raw_summarized", _MARK_COLUMNS, marks)

    def _shown(
        self, records: Sequence[RunRecord]
    ) -> tuple[dict[int, dict[int, str]], dict[int, dict[int, MetricSummary]]]:
        """By run, the names of metrics by their hash; and what the run shows of each."""
        whole = [siphash64(record.run_id) for record in records if record.descent.single]
        shown = summarize_whole(self._store, whole, self._limits) if whole else {}
        names = self._names(whole)
        for record in records:
            if record.descent.single:
                continue
            descent = record.descent
            lineage = read_lineages(self._store, [descent], self._limits)[descent.run]
            every = self._names([descent.run, *sources([lineage])])
            known = {metric: name for each in every.values() for metric, name in each.items()}
            of_uncut = {metric for metric, name in known.items() if is_uncut(name)}
            found: dict[int, MetricSummary] = {}
            summarize(self._store, lineage, known.keys() - of_uncut, self._limits, found)
            summarize(self._store, uncut(descent.run), of_uncut, self._limits, found)
            names[descent.run], shown[descent.run] = known, found
        return names, shown

    def _names(self, runs: Iterable[int]) -> dict[int, dict[int, str]]:
        found: dict[int, dict[int, str]] = {run: {} for run in runs}
        for run, metric, name in self._store.query(_NAMES, {"runs": list(found)}, self._limits):
            found[int(str(run))][int(str(metric))] = str(name)
        return found

    def _stored(self, runs: list[int], metrics: set[int]) -> dict[tuple[int, int], _Row]:
        """What stands in the table."""
        params: dict[str, Param] = {"runs": runs, "metrics": list(metrics)}
        return {
            (int(str(run)), int(str(metric))): _Row(
                int(str(points)), *(float(str(value)) for value in values)
            )
            for run, metric, points, *values in self._store.query(_STORED, params, self._limits)
        }


def _row(found: MetricSummary, said: Definition) -> _Row:
    best = {"minimize": found.min, "maximize": found.max}.get(said.goal, math.nan)
    values = {
        "first": found.first_value,
        "last": found.last_value,
        "min": found.min,
        "max": found.max,
        "mean": found.mean,
        "best": best,
    }
    shown = values[said.summary or "last"]
    return _Row(found.count, **values, shown=shown)
