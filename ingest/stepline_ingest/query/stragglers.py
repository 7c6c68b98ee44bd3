"""The ranks that deviate most from the others, by a robust score.

In each bucket the means of the ranks have a median; a rank deviates by its distance from that,
measured in robust standard deviations of the bucket: 1.4826 times the median distance, or, where
more than half of the ranks agree to the bit, 1.2533 times the mean distance. (Iglewicz and Hoaglin,
How to Detect and Handle Outliers, 1993; the factors make both the standard deviation of a normal
distribution.) One bucket counts at most 100, so that no single one decides; one in which a rank has
points and none is finite counts 100. The score of a rank is the mean over the buckets in which it
has points.
"""

from __future__ import annotations

import numpy as np

from .blocks import Array

DEFAULT_COUNT = 8
MAX_COUNT = 1_000
MOST = 100.0
_OF_MEDIAN, _OF_MEAN = 1.4826, 1.2533


def deviations(means: Array, logged: Array) -> Array:
    """The score of each rank, shape (ranks,). MEANS are of shape (buckets, ranks), NaN where a rank
    has no finite value; LOGGED says where it has points.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        apart = np.abs(means - _median(means)[:, np.newaxis])
        known = ~np.isnan(apart)
        spread = _OF_MEDIAN * _median(apart)
        count = np.maximum(known.sum(axis=1), 1)
        mean = _OF_MEAN * (np.where(known, apart, 0).sum(axis=1) / count)
        spread = np.where(spread > 0, spread, mean)[:, np.newaxis]
        score = np.where((apart > 0) & (spread > 0), apart / spread, 0.0)
    # Without any finite value among all ranks nobody deviates.
    hopeless = np.isnan(means) & known.any(axis=1)[:, np.newaxis]
    score = np.where(hopeless, MOST, np.minimum(np.nan_to_num(score, nan=MOST), MOST))
    found: Array = np.where(logged, score, 0.0).sum(axis=0) / np.maximum(logged.sum(axis=0), 1)
    return found


def _median(values: Array) -> Array:
    """Of each row, of what is not NaN; NaN where nothing is."""
    known = np.count_nonzero(~np.isnan(values), axis=1)
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(known - 1, 0) // 2]
    high = ordered[rows, np.minimum(known // 2, values.shape[1] - 1)]
    with np.errstate(invalid="ignore"):
        found: Array = np.where(known == 0, np.nan, low + (high - low) / 2)
    return found
