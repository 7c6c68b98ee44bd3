"""Smoothed lines, from the buckets of a chart and the finite points in each.

m are the means of the buckets that have finite points, n their numbers of these, p their places in
widths of a bucket (`places`). A bucket without finite points has no smoothed value and is passed
over. Each definition is S / D of

    EMA             S[i] = d[i] S[i-1] + a[i] m[i],  D[i] = d[i] D[i-1] + a[i],  S = D = 0 before
      of buckets    d[i] = weight ** (n[i] / N),  a[i] = 1 - d[i],  N the lower median of n
      over x        d[i] = weight ** (p[i] - p[i-1]),  a[i] = n[i]
    Gaussian        sums over all j with |p[i] - p[j]| <= 5 sigma of g n[j] m[j] and of g n[j],
                    g = exp(-((p[i] - p[j]) / sigma) ** 2 / 2)

The EMA of buckets is TensorBoard's, debiased, where every bucket has as many points: there each
point that is drawn counts as one. A bucket that is still being filled counts as the part of a
bucket that it is, so the end of a line that grows does not jump. Over x it is W&B's time-weighted
one: what lies a bucket's width back counts `weight` as much, and a gap counts for its length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from stepline_ingest.errors import invalid
from stepline_ingest.gen.stepline.v1 import query_pb2

from .blocks import Array

MAX_SIGMA = 1_000.0
REACH = 5.0
"""Of the Gaussian kernel, in standard deviations."""


class Kind(Enum):
    EMA = "ema"
    EMA_OVER_X = "ema_over_x"
    GAUSSIAN = "gaussian"


@dataclass(frozen=True, slots=True)
class Smoothing:
    kind: Kind
    amount: float
    """The weight of an EMA; the standard deviation of the Gaussian in widths of a bucket."""


@dataclass(frozen=True, slots=True)
class Rough:
    """A line to be smoothed; arrays of one entry a bucket."""

    mean: Array
    """NaN where nothing is finite."""
    finite: Array
    """Finite points."""
    place: Array
    """In widths of a bucket, ascending."""


def smoothing(request: query_pb2.Smoothing) -> Smoothing | None:
    """What was asked for. Raises ServiceError(INVALID_ARGUMENT)."""
    name = request.WhichOneof("kind")
    if name is None:
        return None
    kind, amount = Kind(name), float(getattr(request, name))
    if kind is Kind.GAUSSIAN:
        if not 0 < amount <= MAX_SIGMA:
            raise invalid(
                f"a Gaussian of {amount:g} buckets cannot smooth: its standard deviation has to be "
                f"above 0 and at most {MAX_SIGMA:g}"
            )
    elif not 0 <= amount < 1:
        raise invalid(
            f"{amount:g} is no weight of a moving average: use 0 (nothing is smoothed) to below 1 "
            "(such as 0.9)"
        )
    return Smoothing(kind, amount)


def smoothed(how: Smoothing, lines: Sequence[Rough]) -> list[Array]:
    """One array for each line: float64, NaN where its mean is."""
    if not lines:
        return []
    sizes = [len(line.mean) for line in lines]
    known = [~np.isnan(line.mean) & (line.finite > 0) for line in lines]
    line_of = np.repeat(np.arange(len(lines)), [int(np.count_nonzero(k)) for k in known])
    mean, finite, place = (
        np.concatenate([getattr(line, name)[k] for line, k in zip(lines, known, strict=True)])
        for name in ("mean", "finite", "place")
    )
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if how.kind is Kind.GAUSSIAN:
            values = _gaussian(how.amount, line_of, mean, finite.astype(np.float64), place)
        else:
            values = _ema(how, line_of, mean, finite.astype(np.float64), place)
    found = np.full(sum(sizes), np.nan)
    found[np.concatenate(known)] = values
    return np.split(found, np.cumsum(sizes)[:-1])


def _ema(how: Smoothing, line_of: Array, mean: Array, finite: Array, place: Array) -> Array:
    if not len(mean):
        return mean
    begins = np.flatnonzero(np.diff(line_of, prepend=-1))
    if how.kind is Kind.EMA:
        share = finite / _medians(finite, begins)
        decay = how.amount**share
        gain = -np.expm1(share * math.log(how.amount)) if how.amount else np.ones(len(mean))
    else:
        back = np.maximum(np.diff(place, prepend=place[:1]), 0)
        decay, gain = how.amount**back, finite.copy()
    decay[begins] = 0
    longest = int(np.diff(np.append(begins, len(mean))).max())
    found: Array = _scan(decay, gain * mean, longest) / _scan(decay, gain, longest)
    return found


def _scan(decay: Array, own: Array, longest: int) -> Array:
    """S[i] = decay[i] S[i-1] + own[i], in as many passes as LONGEST has binary digits: each doubles
    the stretch that is summed up. A decay of 0 begins anew.
    """
    decay = decay.copy()
    total: Array = own.copy()
    reach = 1
    while reach < longest:
        more = np.zeros(len(total) - reach)
        # Where nothing is left of the past it is not even looked at: it may be infinite.
        np.multiply(decay[reach:], total[:-reach], where=decay[reach:] > 0, out=more)
        total[reach:] += more
        decay[reach:] = decay[reach:] * decay[:-reach]
        decay[:reach] = 0
        reach *= 2
    return total


def _medians(finite: Array, begins: Array) -> Array:
    """For each bucket the lower median of the counts of its line."""
    ends = np.append(begins[1:], len(finite))
    medians = [
        np.partition(finite[a:b], (b - a - 1) // 2)[(b - a - 1) // 2]
        for a, b in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    repeated: Array = np.repeat(np.array(medians), ends - begins)
    return repeated


def _gaussian(sigma: float, line_of: Array, mean: Array, finite: Array, place: Array) -> Array:
    """Each pass adds to every bucket its neighbours at one distance, counted in buckets."""
    total, weight = finite * mean, finite.copy()
    own_total, own_weight = total.copy(), finite
    for apart in range(1, len(mean)):
        far = (place[apart:] - place[:-apart]) / sigma
        near = (far <= REACH) & (line_of[apart:] == line_of[:-apart])
        if not near.any():
            break
        kernel = np.where(near, np.exp(-0.5 * far * far), 0)
        total[apart:] += np.where(near, kernel * own_total[:-apart], 0)
        total[:-apart] += np.where(near, kernel * own_total[apart:], 0)
        weight[apart:] += kernel * own_weight[:-apart]
        weight[:-apart] += kernel * own_weight[apart:]
    found: Array = total / weight
    return found


def places(x: Array, width: float, moments: Array | None) -> Array:
    """Where buckets lie, in widths of a bucket: int64 X in steps, or, on an axis of time, MOMENTS
    in the mean time that so many steps take. Time that goes back counts as standing still.
    """
    if not len(x):
        return np.empty(0)
    steps: Array = (x - x[0]).view(np.uint64) / width
    if moments is None:
        return steps
    since = np.maximum.accumulate(moments - moments[0]).astype(np.float64)
    if since[-1] <= 0 or not math.isfinite(steps[-1]):
        return since
    time: Array = since * (steps[-1] / since[-1])
    return time
