"""What is known about the points of a run: while it lasts, after a flush, at its end."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Health:
    """`run.health()`: how the run's points fare, in points unless said otherwise."""

    logged: int
    """Taken by `log()` and `log_array()` in this process."""
    acknowledged: int
    """Stored by the service."""
    queued: int
    """Not stored yet; while some of it is stored, estimated from how many calls are."""
    refused: int
    """Values that were not numbers, or whose name was too long, and were left out."""
    gaps: int
    """Points lost because the disk was full; the service shows where."""
    lag_seconds: float
    """How old the oldest queued point can be, at most."""
    bytes: int
    """On the local disk."""
    state: str
    """disabled | offline | waiting | connecting | streaming | unreachable | refused | done"""
    error: str
    """What the service or the network said last; empty when all is well."""
    spool: Path | None
    """The directory of the spool; None for a disabled run."""


@dataclass(frozen=True, kw_only=True)
class FlushReport:
    """What `run.flush()` waited for."""

    stored: int
    """Points of this process that the service has stored."""
    left: int
    """Points that it has not."""
    durable: bool
    """Everything logged before the call survives power loss on this host."""
    seconds: float
    error: str

    @property
    def complete(self) -> bool:
        """Nothing is left."""
        return self.left == 0


@dataclass(frozen=True, kw_only=True)
class FinishReport:
    """How a run ended in this process. Counts are points."""

    run_id: str
    stored: int
    left: int
    """Not stored when the wait ended. They are safe on disk; the uploader goes on, and `command`
    sends them too.
    """
    refused: int
    """Values that were not numbers and were left out."""
    gaps: int
    """Points lost because the disk was full."""
    seconds: float
    """Spent in `finish()`."""
    server: str
    spool: Path | None
    """Where the rest lies; None when nothing is left."""
    error: str
    """Why something is left, as far as is known."""

    @property
    def complete(self) -> bool:
        """Everything that was logged is stored."""
        return self.left == 0 and self.gaps == 0

    @property
    def command(self) -> str | None:
        """What sends the rest, typed into a shell; None when nothing is left."""
        return None if self.spool is None else sync_command(self.spool, self.server)

    def __str__(self) -> str:
        lost = f", {self.refused:,} values refused" if self.refused else ""
        lost += f", {self.gaps:,} lost on a full disk" if self.gaps else ""
        if self.spool is None:
            return f"run {self.run_id}: {self.stored:,} points stored{lost}"
        why = f" ({self.error.split(';')[0]})" if self.error else ""  # the remedy follows here
        return (
            f"run {self.run_id}: {self.stored:,} points stored, {self.left:,} left{why}{lost}; "
            f"they wait in {self.spool}, send them with: {self.command}"
        )


def sync_command(spool: Path, server: str) -> str:
    """The command line that sends SPOOL, quoted for a shell."""
    return f"stepline sync {shlex.quote(str(spool))} --server {shlex.quote(server)}"
