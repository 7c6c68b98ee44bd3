"""Every point of one series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Columns, Float64, Int64, float64, int64
from .expired import Expired, Fields, gaps_of


@dataclass(frozen=True, kw_only=True, eq=False)
class History(Columns):
    """One metric of one rank: never sampled, in the order of steps, equal steps in the order of
    logging.

    Three arrays of shape (points,).
    """

    run_id: str
    metric: str
    rank: int
    step: Int64 = field(repr=False)
    time: Int64 = field(repr=False)
    """When it was logged: milliseconds since the epoch."""
    value: Float64 = field(repr=False)
    """As logged, NaN and infinities included."""
    attempt: npt.NDArray[np.uint32] | None = field(repr=False, default=None)
    """Of each point, when all attempts were asked for; 0 for those of a run that this one was
    forked from."""
    expired: tuple[Expired, ...] = ()
    """What was asked for and is not there any more."""

    def __len__(self) -> int:
        return len(self.step)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """step, time, value; and attempt where that was asked for."""
        found: dict[str, npt.NDArray[Any]] = {
            "step": self.step,
            "time": self.time,
            "value": self.value,
        }
        return found if self.attempt is None else {**found, "attempt": self.attempt}

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[tuple[int, bytes, bytes, bytes, bytes, list[Fields]]],
        *,
        run_id: str,
        metric: str,
        rank: int,
    ) -> History:
        """Of (rows, steps, times, values, attempts, expired) as the extension yields them."""
        steps = [np.empty(0, np.int64)]
        times = [np.empty(0, np.int64)]
        values = [np.empty(0, np.float64)]
        attempts: list[npt.NDArray[np.uint32]] = []
        expired: list[Fields] = []
        for _, step, time, value, attempt, gaps in chunks:
            expired += gaps
            if attempt:
                attempts.append(np.frombuffer(attempt, np.dtype("<u4")))
            steps.append(int64(step))
            times.append(int64(time))
            values.append(float64(value))
        return cls(
            run_id=run_id,
            metric=metric,
            rank=rank,
            step=np.concatenate(steps),
            time=np.concatenate(times),
            value=np.concatenate(values),
            attempt=np.concatenate(attempts) if attempts else None,
            expired=gaps_of(expired, run_id),
        )
