"""Promise: smoothed lines, quantiles and deviations are what their definitions say, written down
here point by point."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.query.quantiles import checked, quantiles_over
from stepline_ingest.query.smoothing import Kind, Rough, Smoothing, places, smoothed, smoothing
from stepline_ingest.query.stragglers import deviations

NAN = math.nan
VALUES = st.one_of(st.just(NAN), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 1.0]))


@st.composite
def rough(draw: st.DrawFn) -> Rough:
    size = draw(st.integers(0, 40))
    mean = np.array(draw(st.lists(VALUES, min_size=size, max_size=size)), np.float64)
    counts = draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 17, 0.5]), min_size=size, max_size=size))
    finite = np.where(np.isnan(mean), 0, np.array(counts, np.int64))
    return Rough(mean, finite, np.cumsum(gaps, dtype=np.float64))


def known(line: Rough) -> list[tuple[float, int, float]]:
    rows = zip(line.mean.tolist(), line.finite.tolist(), line.place.tolist(), strict=True)
    return [row for row in rows if not math.isnan(row[0])]


def ema(line: Rough, weight: float) -> list[float]:
    rows, found, past, debias = known(line), [], 0.0, 0.0
    for mean, count, _ in rows:
        left = weight ** (count / statistics.median_low([c for _, c, _ in rows]))
        past = left * past + (1 - left) * mean
        debias = left * debias + (1 - left)
        found.append(past / debias)
    return found


def ema_over_x(line: Rough, weight: float) -> list[float]:
    found, past, points, before = [], 0.0, 0.0, None
    for mean, count, place in known(line):
        left = 0.0 if before is None else weight ** (place - before)
        past, points, before = left * past + count * mean, left * points + count, place
        found.append(past / points)
    return found


def gaussian(line: Rough, sigma: float) -> list[float]:
    rows = known(line)
    found = []
    for _, _, here in rows:
        near = [
            (m, n * math.exp(-(((here - p) / sigma) ** 2) / 2))
            for m, n, p in rows
            if abs(here - p) / sigma <= 5
        ]
        found.append(sum(m * g for m, g in near) / sum(g for _, g in near))
    return found


TWINS = {Kind.EMA: ema, Kind.EMA_OVER_X: ema_over_x, Kind.GAUSSIAN: gaussian}


@settings(max_examples=150)
@given(
    lines=st.lists(rough(), max_size=4),
    kind=st.sampled_from(list(Kind)),
    amount=st.one_of(st.just(0.0), st.floats(0.01, 0.999)),
)
def test_smoothed_lines_are_what_their_definitions_say(lines, kind, amount):
    if kind is Kind.GAUSSIAN:
        amount = 0.3 + 10 * amount
    found = smoothed(Smoothing(kind, amount), lines)
    for line, values in zip(lines, found, strict=True):
        assert np.array_equal(np.isnan(values), np.isnan(line.mean))
        expected = TWINS[kind](line, amount)
        scale = max((abs(m) for m, _, _ in known(line)), default=1.0) or 1.0
        assert np.allclose(values[~np.isnan(values)], expected, rtol=0, atol=1e-11 * scale)
        # A line is smoothed alike whatever stands beside it.
        (alone,) = smoothed(Smoothing(kind, amount), [line])
        assert np.array_equal(alone, values, equal_nan=True)


def test_an_average_of_even_buckets_is_tensorboards():
    values, weight = np.random.default_rng(1).normal(size=500), 0.97
    last, expected = 0.0, []
    for number, value in enumerate(values, 1):
        last = last * weight + (1 - weight) * value
        expected.append(last / (1 - weight**number))
    line = Rough(values, np.full(500, 128), np.arange(500.0))
    (found,) = smoothed(Smoothing(Kind.EMA, weight), [line])
    assert np.allclose(found, expected, rtol=1e-12)


def test_a_line_that_grows_keeps_what_was_smoothed():
    rng = np.random.default_rng(2)
    for kind in (Kind.EMA, Kind.EMA_OVER_X):
        mean, finite = rng.normal(size=300), np.full(300, 100)
        whole = Rough(mean, finite, np.arange(300.0))
        part = Rough(mean[:200], finite[:200], np.arange(200.0))
        long, short = smoothed(Smoothing(kind, 0.9), [whole, part])
        assert np.array_equal(long[:200], short)


def test_values_beyond_all_measure_do_not_spoil_other_lines():
    huge = Rough(np.full(9, 1.7e308), np.full(9, 1000), np.arange(9.0))
    plain = Rough(np.ones(9), np.full(9, 1000), np.arange(9.0))
    for kind in Kind:
        _, found = smoothed(Smoothing(kind, 0.9), [huge, plain])
        assert np.allclose(found, 1)


def test_places_lie_on_the_axis_that_is_drawn():
    x = np.array([0, 10, 20, 50], np.int64)
    assert places(x, 10, None).tolist() == [0, 1, 2, 5]
    ends = np.array([-(2**63), 2**63 - 1], np.int64)
    assert places(ends, 2.0**63, None).tolist() == [0, 2]
    # Five widths of a bucket took 100 ms: one is 20 ms. Time that goes back stands still.
    assert places(x, 10, np.array([1000, 1040, 1030, 1100])).tolist() == [0, 2, 2, 5]
    assert places(x, 10, np.array([7, 7, 7, 7])).tolist() == [0, 0, 0, 0]
    assert places(x[:0], 10, None).tolist() == []


@pytest.mark.parametrize(
    "bad",
    [{"ema": 1.0}, {"ema": -0.1}, {"ema": NAN}, {"ema_over_x": 1.5}, {"gaussian": 0.0}]
    + [{"gaussian": v} for v in (-1.0, 1001.0, NAN, math.inf)],
)
def test_what_smooths_nothing_is_refused(bad):
    with pytest.raises(ServiceError, match=r"weight|deviation"):
        smoothing(query_pb2.Smoothing(**bad))
    assert smoothing(query_pb2.Smoothing()) is None
    assert smoothing(query_pb2.Smoothing(ema=0.0)) == Smoothing(Kind.EMA, 0.0)


@settings(max_examples=100)
@given(
    means=st.integers(1, 8).flatmap(
        lambda members: st.lists(
            st.lists(VALUES, min_size=members, max_size=members), min_size=1, max_size=12
        )
    ),
    wanted=st.lists(st.floats(0, 1), max_size=4),
)
def test_quantiles_are_numpys(means, wanted):
    table = np.array(means)
    for quantile, found in zip(wanted, quantiles_over(table, wanted), strict=True):
        for row, value in zip(table, found, strict=True):
            finite = row[~np.isnan(row)]
            if len(finite):
                assert value == np.quantile(finite, quantile)
            else:
                assert math.isnan(value)


@pytest.mark.parametrize("bad", [[2.0], [-0.1], [NAN], [0.5, math.inf], [0.5] * 33])
def test_what_is_no_quantile_is_refused(bad):
    with pytest.raises(ServiceError, match="quantile"):
        checked(bad)


def deviation(means: np.ndarray, logged: np.ndarray, rank: int) -> float:
    scores = []
    for row, here in zip(means.tolist(), logged.tolist(), strict=True):
        finite = [v for v in row if not math.isnan(v)]
        if not here[rank]:
            continue
        if math.isnan(row[rank]):
            scores.append(100.0 if finite else 0.0)
            continue
        middle = statistics.median(finite)
        apart = [abs(v - middle) for v in finite]
        spread = 1.4826 * statistics.median(apart) or 1.2533 * statistics.fmean(apart)
        scores.append(min(100.0, abs(row[rank] - middle) / spread) if spread else 0.0)
    return statistics.fmean(scores) if scores else 0.0


@settings(max_examples=100)
@given(
    means=st.integers(1, 9).flatmap(
        lambda ranks: st.lists(
            st.lists(VALUES, min_size=ranks, max_size=ranks), min_size=1, max_size=8
        )
    ),
    seed=st.integers(0, 99),
)
@example(means=[[0.0, 5e-324]], seed=0)  # their mean distance is too small for a double
def test_deviations_are_what_their_definition_says(means, seed):
    table = np.array(means)
    logged = ~np.isnan(table) | (np.random.default_rng(seed).random(table.shape) < 0.5)
    found = deviations(table, logged)
    expected = [deviation(table, logged, rank) for rank in range(table.shape[1])]
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_the_odd_ranks_are_found():
    rng = np.random.default_rng(3)
    means = rng.normal(1.0, 0.01, size=(200, 64))
    means[:, 17] += 0.2  # always somewhat slower
    means[50, 3] = 1e9  # once
    means[:, 40] = NAN  # dead, but logging
    order = np.argsort(-deviations(means, np.ones(means.shape, bool)))
    assert order[:3].tolist() == [40, 17, 3]
    # All ranks but one say the same to the bit.
    means = np.ones((10, 8))
    means[:, 5] = 1.5
    assert np.argmax(deviations(means, np.ones(means.shape, bool))) == 5
