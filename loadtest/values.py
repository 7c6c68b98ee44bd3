"""Values that are known from their place: whoever reads metric and step knows what must be there.

The value of metric number i at step s is i plus a fraction of 24 random-looking bits, so it is
exact in a double and costs a codec what the noise of a float32 costs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP, _METRIC, _MODULUS = 2_654_435_761, 40_503, 1 << 24
PREFIX = "load/metric"

WRONG = (
    f"value != toUInt32(substring(metric, -5)) + "
    f"(step * {_STEP} + toUInt32(substring(metric, -5)) * {_METRIC}) % {_MODULUS} / {_MODULUS}"
)
"""The same in SQL: true where a point of the view `points` holds another value."""


def names(metrics: int) -> list[str]:
    return [f"{PREFIX}{index:05d}" for index in range(metrics)]


def matrix(steps: NDArray[np.int64], metrics: int) -> NDArray[np.float64]:
    """One row for each of STEPS, one column for each metric."""
    index = np.arange(metrics, dtype=np.int64)
    noise = (steps[:, None] * _STEP + index * _METRIC) % _MODULUS
    return index + noise / _MODULUS
