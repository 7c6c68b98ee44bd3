"""Runs and what belongs to them as rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stepline import _core
from stepline_ingest.json_texts import json_value
from stepline_ingest.lineage import Descent, Layer
from stepline_ingest.run_record import CRASHED, PREEMPTED, Attempt, End, RunRecord
from stepline_ingest.run_request import json_text
from stepline_ingest.runs_contract import FinishRow, WriterRow

RUN_COLUMNS = (
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
ATTEMPT_COLUMNS = (
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
WRITER_COLUMNS = ("writer", "run", "run_id", "attempt", "rank", "host", "pid", "created")
DELETION_COLUMNS = ("run", "run_id", "project", "deleted")
FINISH_COLUMNS = (
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


def run_row(run: RunRecord) -> tuple[object, ...]:
    return (
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


def attempt_row(run_id: str, attempt: Attempt) -> tuple[object, ...]:
    failure = attempt.failure
    return (
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


def layer_rows(descent: Descent, version: int) -> Iterator[tuple[object, ...]]:
    for number, layer in enumerate(descent.layers):
        yield (
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


def writer_row(row: WriterRow) -> tuple[object, ...]:
    return (
        int.from_bytes(row.binding.writer, "big"),
        row.binding.run,
        row.binding.run_id,
        row.binding.attempt,
        row.binding.rank,
        row.host,
        row.pid,
        row.created_ms,
    )


def finish_row(row: FinishRow, version: int) -> tuple[object, ...]:
    return (
        row.binding.run,
        row.binding.attempt,
        row.binding.rank,
        int.from_bytes(row.binding.writer, "big"),
        *_stored_end(row.end),
        row.finished_ms,
        version,
    )


_HOW = {
    (False, False): "",
    (True, False): "vanished",
    (False, True): "preempted",
}


ANEW = "anew"
"""Of a rank that began anew: its end is none."""


def _stored_end(end: End | None) -> tuple[int, str, str, str]:
    if end is None:
        return 0, ANEW, "", ""
    return (
        end.exit_code,
        _HOW[end.vanished, end.preempted],
        end.error_type,
        end.error_message,
    )


def to_end(exit_code: int, how: str, error_type: str, error_message: str, finished: int) -> End:
    return End(
        exit_code=exit_code,
        vanished=how == "vanished",
        preempted=how == "preempted",
        error_type=error_type,
        error_message=error_message,
        finished_ms=finished,
    )


def to_attempt(row: Sequence[Any]) -> Attempt:
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


def to_layer(
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


def to_record(row: tuple[Any, ...], attempts: list[Attempt], layers: Sequence[Layer]) -> RunRecord:
    return RunRecord(
        run_id=row[1],
        project=row[2],
        name=row[3],
        config=json_value(row[4]),
        summary=json_value(row[5]),
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
