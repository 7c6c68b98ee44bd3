"""A run as the service knows it: what was started, with which config, and how it goes. No store, no
network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stepline_ingest.lineage import Descent

JsonObject = dict[str, Any]


RUNNING, FINISHED, FAILED = "running", "finished", "failed"
CRASHED, PREEMPTED = "crashed", "preempted"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How one rank of an attempt ended."""

    exit_code: int = 0
    vanished: bool = False
    """It is gone without a word; exit_code says nothing."""
    preempted: bool = False
    """Its machine was wanted back."""
    error_type: str = ""
    """Of the exception that ended it."""
    error_message: str = ""
    finished_ms: int = field(default=0, compare=False)
    """By the clock of its host; 0 where nobody knows."""

    @property
    def state(self) -> str:
        """finished | failed | crashed | preempted"""
        if self.preempted:
            return PREEMPTED
        if self.vanished:
            return CRASHED
        return FAILED if self.exit_code else FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a rank logged and was never stored."""

    attempt: int
    rank: int
    count: int
    reason: str
    time_ms: int


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One start of a run, by all its ranks. Its number is the fencing token of the run's lease."""

    number: int
    """From 1."""
    launch_id: str
    world_size: int
    created_ms: int
    host: str = ""
    """Of the rank that began it, and its process."""
    pid: int = 0
    preempting: bool = False
    """It was said that its machine is wanted back."""
    lost: bool = False
    """Nobody has said for too long that it lives."""
    ends: dict[int, End] = field(default_factory=dict)
    """By rank."""
    ended_ms: int | None = None
    """When its state stopped being running, by the clock of the service."""
    version: int = field(default=0, compare=False)
    """Of the row in the tables."""

    @property
    def state(self) -> str:
        """preempted: its machine was wanted back, and it has ended somehow. failed: a rank ended
        with an error. crashed: a rank is gone without a word, or nobody says that the attempt
        lives. finished: all ranks ended well. running: nothing of that.
        """
        ends = self.ends.values()
        bad = any(end.exit_code or end.vanished for end in ends) or self.lost
        if any(end.preempted for end in ends) or (self.preempting and (bad or self._all_ended)):
            return PREEMPTED
        if any(end.exit_code for end in ends if not end.vanished):
            return FAILED
        if bad:
            return CRASHED
        return FINISHED if self._all_ended else RUNNING

    @property
    def _all_ended(self) -> bool:
        return len(self.ends) >= self.world_size

    @property
    def failure(self) -> End | None:
        """Of the lowest rank that ended with an error."""
        failed = (self.ends[rank] for rank in sorted(self.ends))
        return next((end for end in failed if end.exit_code and not end.vanished), None)

    @property
    def exit_code(self) -> int | None:
        """Of the lowest rank that failed; 0 when all ended well; None where nobody knows."""
        failure = self.failure
        if failure is not None:
            return failure.exit_code
        well = self._all_ended and not any(end.vanished for end in self.ends.values())
        return 0 if well else None

    @property
    def ran_ms(self) -> int | None:
        """How long it went on, by the clock of its hosts where these have said when it ended; None
        while it goes on. When it was lost, ranks that had ended well say nothing of the others."""
        if self.ended_ms is None:
            return None
        ends = self.ends.values()
        told = self._all_ended or any(end.state != FINISHED for end in ends)
        last = max((end.finished_ms for end in ends), default=0) if told else 0
        return max(0, min(last or self.ended_ms, self.ended_ms) - self.created_ms)

    def copy(self) -> Attempt:
        """To be changed by itself."""
        return replace(self, ends=dict(self.ends))


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
    descent: Descent
    """How it came to what it shows."""
    fork_run_id: str = ""
    """What it was forked from, and at which step; nothing when empty."""
    fork_step: int = 0
    stored_outcome: tuple[str, int | None] = field(default=("", None), compare=False)
    """State and exit code in the tables, where SQL sees them."""
    version: int = field(default=0, compare=False)
    """Of the row in the tables."""

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]

    @property
    def state(self) -> str:
        """Of the newest attempt."""
        return self.newest.state

    @property
    def exit_code(self) -> int | None:
        """Of the newest attempt."""
        return self.newest.exit_code

    @property
    def outcome(self) -> tuple[str, int | None]:
        return self.state, self.exit_code

    @property
    def ran_ms(self) -> int:
        """How long its attempts went on that have ended. One that was superseded and never said how
        it ended counts nothing."""
        return sum(attempt.ran_ms or 0 for attempt in self.attempts)

    def duration_ms(self, now_ms: int) -> int:
        """The same with what goes on."""
        going = now_ms - self.newest.created_ms if self.newest.ended_ms is None else 0
        return self.ran_ms + max(0, going)

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
        """The newest attempt that this launch has begun."""
        newest_first = reversed(self.attempts)
        return next((attempt for attempt in newest_first if attempt.launch_id == launch_id), None)
