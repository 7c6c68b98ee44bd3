"""The SQL of runs, attempts, writers and finishes. Rows are never changed: the one with the
greatest version counts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from stepline import _core
from stepline_ingest.catalogue.changes import ConfigChange, put_change
from stepline_ingest.lineage import Descent, Layer
from stepline_ingest.run_record import CRASHED, PREEMPTED, Attempt, End, Missing, RunRecord
from stepline_ingest.run_request import json_text
from stepline_ingest.runs_repository import FinishRow, WriterRow
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
_DELETIONS = "SELECT DISTINCT run_id FROM raw_deletions"
_RUN_COLUMNS = (
    "run",
    "run_id",
    "project",
    "name",
    "config",
    "summary",
    "tags",
    "group",
    "job_type",
    "notes",
    "state",
    "exit_code",
    "fork_run_id",
    "fork_step",
    "created",
    "updated",
    "version",
)
_ATTEMPT_COLUMNS = (
    "run",
    "attempt",
    "launch_id",
    "world_size",
    "created",
    "state",
    "exit_code",
    "error_type",
    "error_message",
    "ended",
    "host",
    "pid",
    "preempting",
    "version",
)
LAYER_COLUMNS = (
    "run",
    "ordinal",
    "source",
    "attempt",
    "first_step",
    "last_step",
    "own",
    "told",
    "begins",
    "version",
)
_WRITER_COLUMNS = ("writer", "run", "run_id", "attempt", "rank", "host", "pid", "created")
_DELETION_COLUMNS = ("run", "run_id", "project", "deleted")
_FINISH_COLUMNS = (
    "run",
    "attempt",
    "rank",
    "writer",
    "exit_code",
    "how",
    "error_type",
    "error_message",
    "finished",
    "version",
)


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
            attempts.setdefault(run, []).append(_attempt(row))
        for run, number, rank, *row in self._rows(_FINISHES, params):
            for attempt in attempts.get(run, ()):
                if attempt.number == number and row[1] != _ANEW:
                    attempt.ends[rank] = _end(*row)
        layers: dict[int, list[Layer]] = {}
        for run, *row in self._rows(_LAYERS, params):
            layers.setdefault(run, []).append(_layer(*row))
        # A run whose creation was interrupted has attempts only, and is no run yet.
        return [
            _record(row, attempts[row[0]], layers.get(row[0], []))
            for row in runs
            if row[0] in attempts
        ]

    def page(self, project: str, limit: int, offset: int) -> tuple[list[str], int]:
        rows = self._rows(_PAGE, {"project": project, "limit": limit, "offset": offset})
        ((total,),) = self._rows(_TOTAL, {"project": project})
        return [run_id for (run_id,) in rows], total

    def recent_ids(self, project: str, limit: int) -> list[str]:
        return self.page(project, limit, 0)[0]

    def put_run(self, run: RunRecord) -> None:
        row = (
            _core.siphash64(run.run_id),
            run.run_id,
            run.project,
            run.name,
            json_text(run.config),
            json_text(run.summary),
            run.tags,
            run.group,
            run.job_type,
            run.notes,
            run.state,
            run.exit_code,
            run.fork_run_id,
            run.fork_step,
            run.created_ms,
            run.updated_ms,
            run.version,
        )
        self._store.insert_rows("raw_runs", _RUN_COLUMNS, [row])
        self._stored(run)

    def put_attempt(self, run_id: str, attempt: Attempt) -> None:
        failure = attempt.failure
        row = (
            _core.siphash64(run_id),
            attempt.number,
            attempt.launch_id,
            attempt.world_size,
            attempt.created_ms,
            attempt.state,
            attempt.exit_code,
            failure.error_type if failure else "",
            failure.error_message if failure else "",
            attempt.ended_ms,
            attempt.host,
            attempt.pid,
            int(attempt.preempting),
            attempt.version,
        )
        self._store.insert_rows("raw_attempts", _ATTEMPT_COLUMNS, [row])

    def put_config_change(self, change: ConfigChange) -> None:
        put_change(self._store, change)

    def put_descent(self, descent: Descent) -> None:
        version = time.time_ns()
        rows = [
            (
                descent.run,
                number,
                layer.run,
                layer.attempt,
                layer.first,
                layer.end - 1,
                layer.own,
                layer.told,
                layer.begins,
                version,
            )
            for number, layer in enumerate(descent.layers)
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
        self._store.insert_rows(
            "raw_writers",
            _WRITER_COLUMNS,
            [
                (
                    int.from_bytes(row.binding.writer, "big"),
                    row.binding.run,
                    row.binding.run_id,
                    row.binding.attempt,
                    row.binding.rank,
                    row.host,
                    row.pid,
                    row.created_ms,
                )
                for row in rows
            ],
        )

    def put_finishes(self, rows: Sequence[FinishRow]) -> None:
        version = time.time_ns()
        self._store.insert_rows(
            "raw_finishes",
            _FINISH_COLUMNS,
            [
                (
                    row.binding.run,
                    row.binding.attempt,
                    row.binding.rank,
                    int.from_bytes(row.binding.writer, "big"),
                    *_stored_end(row.end),
                    row.finished_ms,
                    version + number,
                )
                for number, row in enumerate(rows)
            ],
        )

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
        self._store.insert_rows("raw_deletions", _DELETION_COLUMNS, [row])

    def deleted_ids(self) -> list[str]:
        return [run_id for (run_id,) in self._rows(_DELETIONS, {})]

    def _rows(self, sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._store.query(sql, params)


_HOW = {
    (False, False): "",
    (True, False): "vanished",
    (False, True): "preempted",
}


_ANEW = "anew"
"""Of a rank that began anew: its end is none."""


def _stored_end(end: End | None) -> tuple[int, str, str, str]:
    if end is None:
        return 0, _ANEW, "", ""
    return (
        end.exit_code,
        _HOW[end.vanished, end.preempted],
        end.error_type,
        end.error_message,
    )


def _end(exit_code: int, how: str, error_type: str, error_message: str, finished: int) -> End:
    return End(
        exit_code=exit_code,
        vanished=how == "vanished",
        preempted=how == "preempted",
        error_type=error_type,
        error_message=error_message,
        finished_ms=finished,
    )


def _attempt(row: Sequence[Any]) -> Attempt:
    number, launch_id, world_size, created, state, ended, host, pid, preempting, version = row
    return Attempt(
        number=number,
        launch_id=launch_id,
        world_size=world_size,
        created_ms=created,
        host=host,
        pid=pid,
        preempting=bool(preempting),
        # A rank that has vanished says so by itself as well.
        lost=state == CRASHED or (state == PREEMPTED and bool(preempting)),
        ended_ms=ended,
        version=version,
    )


def _layer(
    source: int, attempt: int, first: int, last: int, own: bool, told: int | None, begins: bool
) -> Layer:
    return Layer(
        run=source,
        attempt=attempt,
        first=first,
        end=last + 1,
        own=bool(own),
        told=told,
        begins=bool(begins),
    )


def _descent(run: int, attempts: Sequence[Attempt], layers: Sequence[Layer]) -> Descent:
    """The stored layers, less those of an attempt whose beginning was interrupted."""
    numbers = {attempt.number for attempt in attempts}
    kept = tuple(la for la in layers if not la.own or not la.attempt or la.attempt in numbers)
    descent = Descent(run, kept)
    for number in sorted(numbers.difference(descent.attempts)):
        descent = descent.begun(number)
    return descent


def _record(row: tuple[Any, ...], attempts: list[Attempt], layers: Sequence[Layer]) -> RunRecord:
    return RunRecord(
        run_id=row[1],
        project=row[2],
        name=row[3],
        config=json.loads(row[4]),
        summary=json.loads(row[5]),
        tags=list(row[6]),
        group=row[7],
        job_type=row[8],
        notes=row[9],
        created_ms=row[12],
        updated_ms=row[13],
        attempts=attempts,
        descent=_descent(row[0], attempts, layers),
        fork_run_id=row[15],
        fork_step=row[16],
        stored_outcome=(row[10], row[11]),
        version=row[14],
    )
