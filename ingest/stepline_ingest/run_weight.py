"""What a run takes in memory, of all that it may have much of: what is kept of runs is bounded by
it. As JSON, short values would be a tenth of what they are as objects."""

from __future__ import annotations

from collections.abc import Collection
from sys import getsizeof
from typing import Any

from stepline_ingest.run_record import Attempt, End, RunRecord

_RECORD_BYTES = 1_000
"""Of a run and its first attempt, which say little."""
_END_BYTES = 200
"""Beside its texts; the same of an attempt."""
_LAYER_BYTES = 100
_POINTER = 8


def weight_of_run(run: RunRecord, fields: int | None = None) -> int:
    """FIELDS is the weight of its config and its summary, where it is known."""
    texts = (run.name, run.project, run.group, run.job_type, run.notes, *run.tags)
    return (
        _RECORD_BYTES
        + (weight_of_fields(run) if fields is None else fields)
        + sum(map(getsizeof, texts))
        + _POINTER * len(run.tags)
        + sum(map(_weight_of_attempt, run.attempts))
        + _LAYER_BYTES * len(run.descent.layers)
    )


def weight_of_fields(run: RunRecord) -> int:
    """Of its config and its summary, each value of which is looked at."""
    return _weight_of_value(run.config) + _weight_of_value(run.summary)


def weight_of_end(end: End | None) -> int:
    """Of how a rank ended, if it has."""
    if end is None:
        return 0
    return _END_BYTES + len(end.error_type) + len(end.error_message)


def _weight_of_attempt(attempt: Attempt) -> int:
    own = _END_BYTES + getsizeof(attempt.launch_id) + getsizeof(attempt.host)
    return own + sum(map(weight_of_end, attempt.ends.values()))


def _weight_of_value(value: Any) -> int:
    """Of anything of JSON, without recursion."""
    total = getsizeof(value)
    waiting = [value]
    while waiting:
        one = waiting.pop()
        inner: Collection[Any] = ()
        if isinstance(one, dict):
            total += sum(map(getsizeof, one))
            inner = one.values()
        elif isinstance(one, list):
            inner = one
        total += sum(map(getsizeof, inner))
        waiting += (each for each in inner if isinstance(each, (dict, list)))
    return total
