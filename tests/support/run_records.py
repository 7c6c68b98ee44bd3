"""Runs as the catalogue stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepline._core import siphash64
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, RunRecord


def run_record(run_id: str, attempts: Sequence[Attempt], **fields: Any) -> RunRecord:
    """A run about which nothing is said but FIELDS; its ATTEMPTS follow each other."""
    said: dict[str, Any] = {
        "project": "p",
        "name": "",
        "config": {},
        "summary": {},
        "tags": [],
        "group": "",
        "job_type": "",
        "notes": "",
        "created_ms": 1,
        "updated_ms": 1,
        "version": 1,
        **fields,
    }
    numbers = [attempt.number for attempt in attempts]
    descent = Descent.of_attempts(siphash64(run_id), numbers)
    return RunRecord(run_id=run_id, attempts=list(attempts), descent=descent, **said)
