"""Where the buckets of a chart lie on the axis of another metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .blocks import Array


def as_of(steps: Array, other: Sequence[Mapping[str, Array]]) -> Array:
    """The value that another metric has at each bucket, of which STEPS are the first steps.

    OTHER are charts of that metric, earlier ones first: the last finite value of the bucket itself
    counts, else that of the nearest bucket below. NaN where there is none.
    """
    known = [~np.isnan(chart["last"]) for chart in other]
    at = [np.empty(0, np.int64), *(c["x"][k] for c, k in zip(other, known, strict=True))]
    values = [np.array([np.nan]), *(c["last"][k] for c, k in zip(other, known, strict=True))]
    place: Array = np.searchsorted(np.concatenate(at), steps, side="right")
    found: Array = np.concatenate(values)[place]
    return found
