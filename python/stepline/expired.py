"""Points that are not there any more: the operator keeps them for a time, and their rollups for
ever."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import ExpiredPointsWarning

Fields = tuple[str, int, int, str, int, int, int, int, int]
"""As the extension yields them: those of ExpiredPoints in their order."""


@dataclass(frozen=True, kw_only=True)
class Expired:
    """Points of one series that were asked for and have expired. Charts and statistics still have
    them, at 128 steps or more a bucket."""

    run_id: str
    metric: str
    rank: int
    attempt: int
    points: int
    """All that expired of the series, also outside of the steps that were asked for."""
    first_step: int
    last_step: int
    first_time: int
    """Milliseconds since the epoch."""
    last_time: int


def gaps_of(fields: Iterable[Fields], run_id: str) -> tuple[Expired, ...]:
    """Those of FIELDS, each once; of RUN_ID where no other run is named."""
    return tuple(
        Expired(
            run_id=run or run_id,
            metric=metric,
            rank=rank,
            attempt=attempt,
            points=points,
            first_step=first_step,
            last_step=last_step,
            first_time=first_time,
            last_time=last_time,
        )
        for metric, rank, attempt, run, points, first_step, last_step, first_time, last_time in (
            dict.fromkeys(fields)
        )
    )


def text_of(gaps: Iterable[Expired]) -> str:
    """For people; empty without any."""
    found = list(gaps)
    if not found:
        return ""
    points = sum(gap.points for gap in found)
    names = sorted({gap.metric for gap in found})
    what = ", ".join(names[:3]) + (f" and {len(names) - 3} more metrics" if names[3:] else "")
    first, last = min(gap.first_step for gap in found), max(gap.last_step for gap in found)
    return (
        f"{points:,} points of {what} between the steps {first} and {last} have expired and are "
        "not in this answer; charts and statistics still have them, at 128 steps or more a bucket"
    )


def warn(gaps: Iterable[Expired], *, stacklevel: int) -> None:
    """Tells whoever reads, once a place in the code."""
    text = text_of(gaps)
    if text:
        warnings.warn(text, ExpiredPointsWarning, stacklevel=stacklevel + 1)
