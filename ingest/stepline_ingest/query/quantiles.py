"""Quantiles over ranks, or over the runs of a group, in each bucket.

What is ranked are the means that each of them has in the bucket: exactly, over all of them, with
linear interpolation between neighbours (NumPy's default, type 7 of Hyndman and Fan). Ranks without
a finite value in a bucket do not count there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepline_ingest.errors import invalid

from .blocks import Array

MAX_QUANTILES = 32


def checked(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Raises ServiceError(INVALID_ARGUMENT)."""
    if len(quantiles) > MAX_QUANTILES:
        raise invalid(
            f"{len(quantiles)} quantiles are more than the {MAX_QUANTILES} of a band: use fewer"
        )
    for quantile in quantiles:
        if not 0 <= quantile <= 1:
            raise invalid(
                f"{quantile:g} is no quantile: use numbers from 0 (least) to 1 (greatest), such as "
                "0.05 and 0.95"
            )
    return tuple(quantiles)


def quantiles_over(means: Array, wanted: Sequence[float]) -> list[Array]:
    """For each of WANTED an array of shape (buckets,): of MEANS, of shape (buckets, members), NaN
    where a member has none. NaN where no member has one.
    """
    ordered = np.sort(means, axis=1)  # NaN comes last
    known = np.count_nonzero(~np.isnan(means), axis=1)
    rows = np.arange(len(means))
    last = np.maximum(known - 1, 0)
    found = []
    for quantile in wanted:
        place = last * quantile
        below = np.floor(place).astype(np.intp)
        low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
        with np.errstate(invalid="ignore", over="ignore"):
            part, step = place - below, high - low
            between = np.where(part < 0.5, low + step * part, high - step * (1 - part))
        found.append(np.where(known == 0, np.nan, between))
    return found
