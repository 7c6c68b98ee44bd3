"""The tables of runs in memory, as rows with versions, so that a restart reads what a restart
would."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stepline._core import siphash64
from stepline_ingest.catalogue.changes import ConfigChange
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, End, Missing, RunRecord
from stepline_ingest.run_request import json_text
from stepline_ingest.runs_contract import FinishRow, WriterRow
from stepline_ingest.store.errors import StoreError
from stepline_ingest.writers import Binding


@dataclass
class MemoryRunTables:
    """Every write takes a moment, as a real one does, and is counted."""

    runs: dict[str, RunRecord] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    finishes: dict[tuple[str, int, int], End | None] = field(default_factory=dict)
    descents: dict[int, Descent] = field(default_factory=dict)
    writers: dict[bytes, Binding] = field(default_factory=dict)
    hosts: dict[bytes, tuple[str, int]] = field(default_factory=dict)
    """Of writers: where, and when they began."""
    writes: list[str] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)
    """The projects of deleted runs."""
    reads: list[str] = field(default_factory=list)
    """Queries that look for runs by their ids."""
    changes: list[ConfigChange] = field(default_factory=list)
    failing: bool = False

    def put_deletion(self, run: RunRecord, deleted_ms: int) -> None:
        self._work()
        self.gone[run.run_id] = run.project

    def missing(self, run_id: str) -> list[Missing]:
        self._work()
        return []

    def deleted(self) -> dict[str, str]:
        self._work()
        return dict(self.gone)

    def load(self, run_ids: Sequence[str], *, bare: bool = False) -> list[RunRecord]:
        self._work()
        self.reads.append("load")
        found = []
        for run_id in run_ids:
            if run_id in self.runs:
                run = copy.deepcopy(self.runs[run_id])
                run.attempts = [
                    self._attempt(run_id, number)
                    for of, number in sorted(self.attempts)
                    if of == run_id
                ]
                run.descent = self.descents[run.descent.run]
                if bare:
                    run.config, run.summary = {}, {}
                found.append(run)
        return found

    def _attempt(self, run_id: str, number: int) -> Attempt:
        ends = {
            rank: end
            for (of, attempt, rank), end in self.finishes.items()
            if (of, attempt) == (run_id, number) and end is not None
        }
        return replace(self.attempts[run_id, number], ends=ends)

    def texts(self, run_ids: Sequence[str], most: int) -> dict[str, tuple[str, str]]:
        self._work()
        return {
            one: (json_text(self.runs[one].config), json_text(self.runs[one].summary))
            for one in run_ids
            if one in self.runs
        }

    def page(self, project: str, limit: int, offset: int) -> tuple[list[str], int]:
        self._work()
        chosen = [run for run in self.runs.values() if project in ("", run.project)]
        chosen.sort(key=lambda run: (-run.created_ms, run.run_id))
        return [run.run_id for run in chosen[offset : offset + limit]], len(chosen)

    def projects(self, run_ids: Sequence[str]) -> dict[str, str]:
        self._work()
        self.reads.append("projects")
        return {one: self.runs[one].project for one in run_ids if one in self.runs}

    def recent_ids(self, project: str, limit: int) -> list[str]:
        self.reads.append("recent")
        return self.page(project, limit, 0)[0]

    def put_runs(self, runs: Sequence[RunRecord]) -> None:
        self._work("runs")
        for run in runs:
            assert run.run_id not in self.runs or self.runs[run.run_id].version < run.version
            self.runs[run.run_id] = copy.deepcopy(run)

    def put_attempts(self, attempts: Sequence[tuple[str, Attempt]]) -> None:
        self._work("attempts")
        for run_id, attempt in attempts:
            self.attempts[run_id, attempt.number] = replace(attempt, ends={})

    def put_descents(self, descents: Sequence[Descent]) -> None:
        self._work("descents")
        for descent in descents:
            self.descents[descent.run] = descent

    def running(self) -> list[tuple[str, str, int]]:
        self._work()
        return [
            (run.run_id, run.project, run.newest.number)
            for run in self.load(list(self.runs))
            if run.state == "running"
        ]

    def forks(self, run_id: str) -> list[str]:
        self._work()
        return [fork for fork, run in self.runs.items() if run.fork_run_id == run_id]

    def run_ids(self, runs: Sequence[int]) -> dict[int, str]:
        self._work()
        ids = {siphash64(run_id): run_id for run_id in self.runs}
        return {run: ids[run] for run in runs if run in ids}

    def put_config_change(self, change: ConfigChange) -> None:
        self._work()
        self.changes.append(change)

    def put_writers(self, rows: Sequence[WriterRow]) -> None:
        self._work("writers")
        for row in rows:
            assert row.binding.writer not in self.writers
            self.writers[row.binding.writer] = row.binding
            self.hosts[row.binding.writer] = row.host, row.created_ms

    def put_finishes(self, rows: Sequence[FinishRow]) -> None:
        self._work("finishes")
        for row in rows:
            place = row.binding
            self.finishes[place.run_id, place.attempt, place.rank] = row.end

    def find_writers(self, writers: Sequence[bytes]) -> list[Binding]:
        self._work()
        return [self.writers[writer] for writer in writers if writer in self.writers]

    def has_begun(self, run_id: str, attempt: int, rank: int) -> bool:
        self._work()
        place = (run_id, attempt, rank)
        return any((w.run_id, w.attempt, w.rank) == place for w in self.writers.values())

    def begun_elsewhere(self, place: Binding) -> bool:
        self._work()
        host, created = self.hosts[place.writer]
        where = (place.run_id, place.attempt, place.rank)
        return any(
            (w.run_id, w.attempt, w.rank) == where
            and self.hosts[w.writer][0] != host
            and self.hosts[w.writer][1] > created
            for w in self.writers.values()
        )

    def _work(self, write: str | None = None) -> None:
        if self.failing:
            raise StoreError("the store cannot be reached")
        time.sleep(0.002)
        if write is not None:
            self.writes.append(write)
