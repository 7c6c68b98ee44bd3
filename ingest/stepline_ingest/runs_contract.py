"""What the repository of runs asks of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stepline_ingest.catalogue.changes import ConfigChange
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, End, Missing, RunRecord
from stepline_ingest.writers import Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterRow:
    """A writer as it is stored."""

    binding: Binding
    host: str
    pid: int
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRow:
    """The end of one rank of an attempt, or that it is none."""

    binding: Binding
    end: End | None
    """None: it began anew."""
    finished_ms: int


class RunTables(Protocol):
    """The tables of runs. Every method blocks, raises StoreError, and may be repeated without
    harm."""

    def load(self, run_ids: Sequence[str], *, bare: bool = False) -> list[RunRecord]:
        """The runs of RUN_IDS that are there, in any order; BARE without config and summary."""

    def texts(self, run_ids: Sequence[str], most: int) -> dict[str, tuple[str, str]]:
        """See run_texts.read_texts()."""

    def page(self, project: str, limit: int, offset: int) -> tuple[list[str], int]:
        """The ids of runs, newest first, and how many there are in all."""

    def recent_ids(self, project: str, limit: int) -> list[str]:
        """The newest runs of a project; of all projects when it is empty."""

    def projects(self, run_ids: Sequence[str]) -> dict[str, str]:
        """The projects of those of RUN_IDS that are there."""

    def put_runs(self, runs: Sequence[RunRecord]) -> None: ...

    def put_attempts(self, attempts: Sequence[tuple[str, Attempt]]) -> None:
        """Each with the id of its run."""

    def put_config_change(self, change: ConfigChange) -> None: ...

    def put_descents(self, descents: Sequence[Descent]) -> None: ...

    def running(self) -> list[tuple[str, str, int]]:
        """The newest attempts of the runs that are stored as running: (run id, project, number)."""

    def forks(self, run_id: str) -> list[str]:
        """The runs that show points of RUN_ID besides itself."""

    def run_ids(self, runs: Sequence[int]) -> dict[int, str]:
        """The ids of RUNS, by hash."""

    def put_writers(self, rows: Sequence[WriterRow]) -> None: ...

    def missing(self, run_id: str) -> list[Missing]:
        """What its ranks logged and was never stored."""

    def put_finishes(self, rows: Sequence[FinishRow]) -> None: ...

    def find_writers(self, writers: Sequence[bytes]) -> list[Binding]:
        """The bindings of those of WRITERS that are known."""

    def has_begun(self, run_id: str, attempt: int, rank: int) -> bool:
        """Whether a writer of that place is known."""

    def begun_elsewhere(self, place: Binding) -> bool:
        """Whether a writer of the same place is known that began later, on another host."""

    def put_deletion(self, run: RunRecord, deleted_ms: int) -> None:
        """From now on the run is deleted, and its rows are on their way out."""

    def deleted(self) -> dict[str, str]:
        """The projects of the runs that were ever deleted, by id."""
