"""A run as the service knows it: what was started, with which config, and how it goes. No store, no
network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stepline._core import siphash64
from stepline_ingest.lineage import Descent

JsonObject = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One start of a run, by all its ranks."""

    number: int
    """From 1."""
    launch_id: str
    world_size: int
    created_ms: int
    exit_codes: dict[int, int] = field(default_factory=dict)
    """By rank, of those that have said that they ended."""


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """One run with all its attempts, oldest first; there is at least one."""

    run_id: str
    project: str
    name: str
    config: JsonObject
    summary: JsonObject
    tags: list[str]
    group: str
    job_type: str
    notes: str
    created_ms: int
    updated_ms: int
    attempts: list[Attempt]
    stored_outcome: tuple[str, int | None] = field(default=("", None), compare=False)
    """State and exit code in the tables, where SQL sees them."""
    version: int = field(default=0, compare=False)
    """Of the row in the tables."""

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]

    @property
    def descent(self) -> Descent:
        """How it came to what it shows."""
        return Descent.of_attempts(siphash64(self.run_id), (a.number for a in self.attempts))

    @property
    def state(self) -> str:
        """failed: a rank of the newest attempt ended with an error. finished: all of its ranks
        ended well. running: neither yet."""
        codes = self.newest.exit_codes
        if any(codes.values()):
            return "failed"
        return "finished" if len(codes) >= self.newest.world_size else "running"

    @property
    def exit_code(self) -> int | None:
        """Of the lowest rank that failed; 0 when all ended well; None while the run goes on."""
        codes = self.newest.exit_codes
        failed = next((codes[rank] for rank in sorted(codes) if codes[rank]), None)
        if failed is not None:
            return failed
        return 0 if self.state == "finished" else None

    @property
    def outcome(self) -> tuple[str, int | None]:
        return self.state, self.exit_code

    def copy(self) -> RunRecord:
        """To be changed by itself. The attempts are the same objects."""
        return replace(
            self,
            config=dict(self.config),
            summary=dict(self.summary),
            tags=list(self.tags),
            attempts=list(self.attempts),
        )

    def attempt(self, number: int) -> Attempt | None:
        return next((attempt for attempt in self.attempts if attempt.number == number), None)

    def launched(self, launch_id: str) -> Attempt | None:
        """The attempt that this launch has begun."""
        return next((attempt for attempt in self.attempts if attempt.launch_id == launch_id), None)
