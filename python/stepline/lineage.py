"""What a run shows: its attempts, and which of them is visible at which steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Steps first_step <= step <= last_step of one attempt."""

    run_id: str
    """Another run where this one was forked from it."""
    attempt: int
    first_step: int
    """-2**63 for the beginning."""
    last_step: int
    """2**63 - 1 for whatever comes."""

    @classmethod
    def from_reply(cls, segment: Mapping[str, Any]) -> Segment:
        """Of a Segment message as the extension gives it."""
        return cls(**{name: segment[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class RankTrouble:
    """A rank of an attempt that ended badly, or is silent while others live."""

    rank: int
    state: str
    """failed | crashed | preempted | silent"""
    seen: datetime | None
    """Of a silent one: its last sign of life; None when there was none since the service began."""
    exit_code: int | None
    error_type: str
    """Of the exception that ended it; empty for none."""
    error_message: str

    @classmethod
    def from_reply(cls, rank: Mapping[str, Any]) -> RankTrouble:
        """Of a Rank message as the extension gives it."""
        plain = {name: rank[name] for name in cls.__dataclass_fields__ if name in rank}
        return cls(**plain, seen=None if rank["seen_ms"] is None else _moment(rank["seen_ms"]))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a run."""

    attempt: int
    """From 1."""
    state: str
    """running | finished | failed | crashed | preempted"""
    launch_id: str
    world_size: int
    created: datetime
    ended: datetime | None
    """By the clock of the service; None while it is running."""
    exit_code: int | None
    """None where nobody knows."""
    error_type: str
    """Of the exception that ended it; empty for none."""
    error_message: str
    host: str
    """Of the rank that began it."""
    pid: int
    begin_step: int | None
    """Where it was told to begin; None: at the first step that it logged."""
    seen: datetime | None
    """When its last sign of life came, by the clock of the service; None when it has ended."""
    living: int | None
    """How many ranks live, within a minute; None where their hosts do not say which."""
    troubled: tuple[RankTrouble, ...]
    """The ranks that ended badly, and those that are silent while others live; the lowest 100."""
    troubled_ranks: int
    """How many such ranks there are in all."""

    @classmethod
    def from_reply(cls, attempt: Mapping[str, Any]) -> Attempt:
        """Of an Attempt message as the extension gives it."""
        made = {"created", "ended", "seen", "troubled"}
        return cls(
            **{name: attempt[name] for name in cls.__dataclass_fields__ if name not in made},
            troubled=tuple(RankTrouble.from_reply(rank) for rank in attempt["troubled"]),
            created=_moment(attempt["created_ms"]),
            ended=None if attempt["ended_ms"] is None else _moment(attempt["ended_ms"]),
            seen=None if attempt["seen_ms"] is None else _moment(attempt["seen_ms"]),
        )


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Of a run."""

    segments: tuple[Segment, ...]
    """Disjoint, in the order of steps."""
    attempts: tuple[Attempt, ...]
    """The oldest first."""

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Lineage:
        """Of a GetLineageReply as the extension gives it."""
        return cls(
            segments=tuple(Segment.from_reply(segment) for segment in reply["segments"]),
            attempts=tuple(Attempt.from_reply(attempt) for attempt in reply["attempts"]),
        )


def _moment(unix_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(unix_ms / 1000, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):  # the clock of a host may say anything
        return datetime.fromtimestamp(0, tz=timezone.utc)
