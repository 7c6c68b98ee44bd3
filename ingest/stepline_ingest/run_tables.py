"""The SQL of runs, attempts, writers and finishes. Rows are never changed: the one with the
greatest version counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from stepline import _core
from stepline_ingest.catalogue.changes import ConfigChange, put_change
from stepline_ingest.lineage import Descent, Layer
from stepline_ingest.run_record import Attempt, Missing, RunRecord
from stepline_ingest.run_rows import (
    ANEW,
    ATTEMPT_COLUMNS,
    DELETION_COLUMNS,
    FINISH_COLUMNS,
    LAYER_COLUMNS,
    RUN_COLUMNS,
    WRITER_COLUMNS,
    attempt_row,
    finish_row,
    layer_rows,
    run_row,
    to_attempt,
    to_end,
    to_layer,
    to_record,
    writer_row,
)
from stepline_ingest.run_texts import read_texts
from stepline_ingest.runs_contract import FinishRow, WriterRow
from stepline_ingest.store.contract import Store
from stepline_ingest.writers import Binding

_RUNS = """
SELECT run, run_id, project, name, config, summary, tags, `group`, job_type, notes, state,
    exit_code, created, updated, version, fork_run_id, fork_step
FROM raw_runs FINAL WHERE run IN {runs:Array(UInt64)}
"""
_BARE_RUNS = _RUNS.replace("config, summary", "'{}' AS config, '{}' AS summary")
_ATTEMPTS = """
SELECT run, attempt, launch_id, world_size, created, state, ended, host, pid, preempting, version
FROM raw_attempts FINAL WHERE run IN {runs:Array(UInt64)} ORDER BY run, attempt
"""
_FINISHES = """
SELECT run, attempt, rank, exit_code, how, error_type, error_message, finished
FROM raw_finishes FINAL WHERE run IN {runs:Array(UInt64)}
"""
_LAYERS = """
SELECT run, source, attempt, first_step, last_step, own, told, begins
FROM raw_layers FINAL
WHERE run IN {runs:Array(UInt64)} AND (run, version) IN
    (SELECT run, max(version) FROM raw_layers WHERE run IN {runs:Array(UInt64)} GROUP BY run)
ORDER BY run, ordinal
"""
_RUNNING = """
SELECT run_id, project, attempt FROM
    (SELECT run, run_id, project FROM raw_runs FINAL WHERE state = 'running') AS r
    INNER JOIN (SELECT run, max(attempt) AS attempt FROM raw_attempts GROUP BY run) AS a USING run
"""
_FORKS = """
SELECT run_id FROM raw_runs FINAL
WHERE run IN (SELECT run FROM raw_layers WHERE source = {run:UInt64} AND run != {run:UInt64})
ORDER BY created LIMIT 1000
"""
_IDS = "SELECT DISTINCT run, run_id FROM raw_runs WHERE run IN {runs:Array(UInt64)}"
_PROJECTS = "SELECT DISTINCT run_id, project FROM raw_runs WHERE run IN {runs:Array(UInt64)}"
_PAGE = """
SELECT run_id FROM raw_runs FINAL WHERE {project:String} = '' OR project = {project:String}
ORDER BY created DESC, run_id LIMIT {limit:UInt64} OFFSET {offset:UInt64}
"""
_TOTAL = """
SELECT count() FROM raw_runs FINAL WHERE {project:String} = '' OR project = {project:String}
"""
_MISSING = """
SELECT attempt, rank, sum(last_seq - first_seq + 1), reason, max(toUnixTimestamp(received)) AS last
FROM raw_rejects FINAL WHERE run = {run:UInt64}
GROUP BY attempt, rank, reason ORDER BY last DESC, attempt, rank, reason LIMIT 100
"""
_WRITERS = """
SELECT writer, run_id, run, attempt, rank
FROM raw_writers FINAL WHERE writer IN {writers:Array(UInt128)}
"""
_BEGAN = """
SELECT count() > 0 FROM raw_writers
WHERE run = {run:UInt64} AND attempt = {attempt:UInt32} AND rank = {rank:UInt32}
"""
_BEGUN_ELSEWHERE = """
SELECT countIf(w.host != own.host AND w.created > own.created) > 0
FROM (
    SELECT host, created FROM raw_writers
    WHERE run = {run:UInt64} AND attempt = {attempt:UInt32} AND rank = {rank:UInt32} AND host != ''
) AS w
CROSS JOIN (
    SELECT host, created FROM raw_writers WHERE writer = {writer:UInt128} AND host != ''
) AS own
"""
_DELETIONS = "SELECT run_id, max(project) FROM raw_deletions GROUP BY run_id"


class SqlRunTables:
    """runs_repository.RunTables over a store."""

    def __init__(
        self, store: Store, *, stored: Callable[[RunRecord], None] = lambda run: None
    ) -> None:
        """STORED is told of every version of a run that is in the tables."""
        self._store = store
        self._stored = stored

    def load(self, run_ids: Sequence[str], *, bare: bool = False) -> list[RunRecord]:
        """BARE leaves config and summary out, which may be large."""
        if not run_ids:
            return []
        params: dict[str, Any] = {"runs": [_core.siphash64(run_id) for run_id in run_ids]}
        # The runs first: of one that is not there, nothing else needs to be asked.
        runs = self._rows(_BARE_RUNS if bare else _RUNS, params)
        if not runs:
            return []
        params["runs"] = [row[0] for row in runs]
        attempts: dict[int, list[Attempt]] = {}
        for run, *row in self._rows(_ATTEMPTS, params):
            attempts.setdefault(run, []).append(to_attempt(row))
        for run, number, rank, *row in self._rows(_FINISHES, params):
            for attempt in attempts.get(run, ()):
                if attempt.number == number and row[1] != ANEW:
                    attempt.ends[rank] = to_end(*row)
        layers: dict[int, list[Layer]] = {}
        for run, *row in self._rows(_LAYERS, params):
            layers.setdefault(run, []).append(to_layer(*row))
        # A run whose creation was interrupted has attempts only, and is no run yet.
        return [
            to_record(row, attempts[row[0]], layers.get(row[0], []))
            for row in runs
            if row[0] in attempts
        ]

    def texts(self, run_ids: Sequence[str], most: int) -> dict[str, tuple[str, str]]:
        return read_texts(self._store, run_ids, most)

    def page(self, project: str, limit: int, offset: int) -> tuple[list[str], int]:
        rows = self._rows(_PAGE, {"project": project, "limit": limit, "offset": offset})
        ((total,),) = self._rows(_TOTAL, {"project": project})
        return [run_id for (run_id,) in rows], total

    def recent_ids(self, project: str, limit: int) -> list[str]:
        return self.page(project, limit, 0)[0]

    def projects(self, run_ids: Sequence[str]) -> dict[str, str]:
        params = {"runs": [_core.siphash64(run_id) for run_id in run_ids]}
        return dict(self._rows(_PROJECTS, params)) if run_ids else {}

    def put_runs(self, runs: Sequence[RunRecord]) -> None:
        self._store.insert_rows("raw_runs", RUN_COLUMNS, [run_row(run) for run in runs])
        for run in runs:
            self._stored(run)

    def put_attempts(self, attempts: Sequence[tuple[str, Attempt]]) -> None:
        rows = [attempt_row(run_id, attempt) for run_id, attempt in attempts]
        self._store.insert_rows("raw_attempts", ATTEMPT_COLUMNS, rows)

    def put_config_change(self, change: ConfigChange) -> None:
        put_change(self._store, change)

    def put_descents(self, descents: Sequence[Descent]) -> None:
        version = time.time_ns()
        rows = [
            row
            for number, descent in enumerate(descents)
            for row in layer_rows(descent, version + number)
        ]
        self._store.insert_rows("raw_layers", LAYER_COLUMNS, rows)

    def running(self) -> list[tuple[str, str, int]]:
        return [(run_id, project, number) for run_id, project, number in self._rows(_RUNNING, {})]

    def forks(self, run_id: str) -> list[str]:
        params = {"run": _core.siphash64(run_id)}
        return [fork for (fork,) in self._rows(_FORKS, params)]

    def run_ids(self, runs: Sequence[int]) -> dict[int, str]:
        return dict(self._rows(_IDS, {"runs": list(runs)}))

    def missing(self, run_id: str) -> list[Missing]:
        rows = self._rows(_MISSING, {"run": _core.siphash64(run_id)})
        return [
            Missing(attempt=attempt, rank=rank, count=count, reason=reason, time_ms=seconds * 1_000)
            for attempt, rank, count, reason, seconds in rows
        ]

    def put_writers(self, rows: Sequence[WriterRow]) -> None:
        self._store.insert_rows("raw_writers", WRITER_COLUMNS, [writer_row(row) for row in rows])

    def put_finishes(self, rows: Sequence[FinishRow]) -> None:
        version = time.time_ns()
        block = [finish_row(row, version + number) for number, row in enumerate(rows)]
        self._store.insert_rows("raw_finishes", FINISH_COLUMNS, block)

    def find_writers(self, writers: Sequence[bytes]) -> list[Binding]:
        params = {"writers": [int.from_bytes(writer, "big") for writer in writers]}
        return [
            Binding(
                writer=writer.to_bytes(16, "big"),
                run_id=run_id,
                run=run,
                attempt=attempt,
                rank=rank,
            )
            for writer, run_id, run, attempt, rank in self._rows(_WRITERS, params)
        ]

    def has_begun(self, run_id: str, attempt: int, rank: int) -> bool:
        params = {"run": _core.siphash64(run_id), "attempt": attempt, "rank": rank}
        return bool(self._rows(_BEGAN, params)[0][0])

    def begun_elsewhere(self, place: Binding) -> bool:
        params = {
            "run": place.run,
            "attempt": place.attempt,
            "rank": place.rank,
            "writer": int.from_bytes(place.writer, "big"),
        }
        return bool(self._rows(_BEGUN_ELSEWHERE, params)[0][0])

    def put_deletion(self, run: RunRecord, deleted_ms: int) -> None:
        row = (_core.siphash64(run.run_id), run.run_id, run.project, deleted_ms)
        self._store.insert_rows("raw_deletions", DELETION_COLUMNS, [row])

    def deleted(self) -> dict[str, str]:
        return dict(self._rows(_DELETIONS, {}))

    def _rows(self, sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._store.query(sql, params)
