"""What is known about the points of a run: while it lasts, after a flush, at its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class LogLatency:
    """How long calls of `log()` took in this process, in nanoseconds. One call in 31 is timed, so
    a rare long one may be missed.
    """

    calls: int
    """How many were timed."""
    p50_ns: int
    """Quantiles are upper bounds of their bucket, at most an eighth too high."""
    p99_ns: int
    max_ns: int
    histogram: tuple[tuple[int, int], ...]
    """(upper bound of the bucket, calls) for each bucket with calls, ascending."""

    @classmethod
    def of(cls, histogram: Sequence[tuple[int, int]], max_ns: int) -> LogLatency:
        """What HISTOGRAM says; all zero when it is empty."""
        return cls(
            calls=sum(calls for _, calls in histogram),
            p50_ns=min(max_ns, _quantile(histogram, 0.5)),
            p99_ns=min(max_ns, _quantile(histogram, 0.99)),
            max_ns=max_ns,
            histogram=tuple(histogram),
        )


def _quantile(histogram: Sequence[tuple[int, int]], q: float) -> int:
    wanted = q * sum(calls for _, calls in histogram)
    for bound, calls in histogram:
        wanted -= calls
        if wanted <= 0:
            return bound
    return 0


@dataclass(frozen=True, kw_only=True)
class Health:
    """`run.health()`: how the run's points fare, in points unless said otherwise."""

    logged: int
    """Taken by `log()` and `log_array()` in this process."""
    sent: int
    """Sent to the service at least once."""
    acknowledged: int
    """Stored by the service."""
    queued: int
    """Not stored yet."""
    exact: bool
    """`acknowledged` and `queued` are counted. When False, part of the points is stored and the two
    are shares according to how many calls are, exact when all calls have the same number of
    metrics; `health(exact=True)` counts.
    """
    pending: int
    """Values that lie on a device and have not come to this host yet; not in `logged`."""
    refused: int
    """Values that were not numbers, or whose name was too long, and were left out."""
    gaps: int
    """Points lost because the disk was full or the spool at its limit; the service shows where."""
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
    latency: LogLatency
    """What `log()` costs the training loop."""
    buffered: bool = False
    """Points wait up to a tenth of a second in memory, because the spool lies on a network file
    system.
    """


def disabled_health(latency: LogLatency) -> Health:
    """Of a run that keeps nothing."""
    return Health(
        logged=0,
        sent=0,
        acknowledged=0,
        queued=0,
        exact=True,
        pending=0,
        refused=0,
        gaps=0,
        lag_seconds=0.0,
        bytes=0,
        state="disabled",
        error="",
        spool=None,
        latency=latency,
    )


@dataclass(frozen=True, kw_only=True)
class FlushReport:
    """What `run.flush()` waited for."""

    stored: int
    """Points of this process that the service has stored."""
    left: int
    """Points that it has not; among them values that a device has not delivered in time."""
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
    """Points lost because the disk was full or the spool at its limit."""
    undelivered: int = 0
    """Values that a device had not delivered when the wait ended. They are lost."""
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
        return self.left == 0 and self.gaps == 0 and self.undelivered == 0

    @property
    def command(self) -> str | None:
        """What sends the rest, typed into a shell; None when nothing is left."""
        return None if self.spool is None else sync_command(self.spool, self.server)

    def __str__(self) -> str:
        lost = f", {self.refused:,} values refused" if self.refused else ""
        lost += f", {self.gaps:,} lost for want of room" if self.gaps else ""
        lost += f", {self.undelivered:,} never came from a device" if self.undelivered else ""
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
