"""Every point of one series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Columns, Float64, Int64, float64, int64


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

    def __len__(self) -> int:
        return len(self.step)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """step, time, value."""
        return {"step": self.step, "time": self.time, "value": self.value}

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[tuple[int, bytes, bytes, bytes]],
        *,
        run_id: str,
        metric: str,
        rank: int,
    ) -> History:
        """Of (rows, steps, times, values) as the extension yields them."""
        steps = [np.empty(0, np.int64)]
        times = [np.empty(0, np.int64)]
        values = [np.empty(0, np.float64)]
        for _, step, time, value in chunks:
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
        )
