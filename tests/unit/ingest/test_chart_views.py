"""Promise: quantiles, stragglers, groups and smoothed lines agree with the plain lines of the same
chart, whatever they were read from."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from stepline._core import siphash64
from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import query_pb2 as pb
from stepline_ingest.lineage import Descent
from stepline_ingest.query import plan, rank_means
from stepline_ingest.query.chart import read_chart
from stepline_ingest.query.groups import groups_of
from stepline_ingest.query.log_grid import log_grid
from stepline_ingest.query.request import chart_query
from stepline_ingest.query.smoothing import Kind, Rough, Smoothing, smoothed
from stepline_ingest.query.stragglers import deviations
from stepline_ingest.run_record import Attempt, RunRecord
from stepline_ingest.schema import tiers
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from tests.support.points import Point, block

NAN = math.nan
RANKS, STEPS = 9, 1_500
KINDS = {"x": "<i8", "argmin": "<i8", "argmax": "<i8", "count": "<u8", "nonfinite": "<u8"}
ALL = ("at", "min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite")
KINDS |= {"at": "<i8", "group_runs": "<u8"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(None, tmp_path_factory.mktemp("views") / "data")
    rng = random.Random(5)
    for run in range(4):
        points = []
        for rank in range(RANKS if run == 0 else 2):
            steps = [s for s in range(run * 40, STEPS) if rng.random() < 0.6]
            for seq, step in enumerate(steps, 1):
                bad = rng.random() < 0.01 or (rank == 6 and 300 < step < 700)
                value = NAN if bad else rng.gauss(0, 1) + run + (3 if rank == 4 else 0)
                points.append(
                    Point(
                        run=siphash64(f"r{run}"),
                        metric=siphash64("loss"),
                        rank=rank,
                        step=step,
                        value=value,
                        time=1_790_000_000_000 + 10 * step,
                        writer=rank + 1,
                        seq=seq,
                    )
                )
        rng.shuffle(points)
        half = len(points) // 2
        opened.insert_points([block(points[:half])], rows=half, token=f"a{run}")
        opened.insert_points([block(points[half:])], rows=len(points) - half, token=f"b{run}")
    yield opened
    opened.close()


def record(run_id: str, **fields: Any) -> RunRecord:
    attempt = Attempt(number=1, launch_id="l", world_size=1, created_ms=0)
    texts = dict.fromkeys(("project", "name", "group", "job_type", "notes"), "")
    made: dict[str, Any] = {
        "run_id": run_id,
        "config": {},
        "summary": {},
        "tags": [],
        "created_ms": 1_790_000_000_000,
        "updated_ms": 0,
        "attempts": [attempt],
        "descent": Descent.of_attempts(siphash64(run_id), [1]),
        **texts,
    }
    return RunRecord(**{**made, **fields})


def chart(
    store: Store, runs: Sequence[RunRecord | str] = ("r0",), **request: Any
) -> list[pb.ChartLine]:
    records = [record(run) if isinstance(run, str) else run for run in runs]
    ids = [run.run_id for run in records]
    asked = {"run_ids": ids, "metrics": ["loss"], "points": 50, **request}
    query = chart_query(pb.ChartRequest(**asked))
    return list(
        read_chart(
            store,
            query,
            {run_id: Descent.of_attempts(siphash64(run_id), [1]) for run_id in ids},
            {},
            began={run.run_id: run.created_ms for run in records},
            groups=groups_of(query.group_by, records) if query.group_by else None,
        )
    )


def column(line: pb.ChartLine, name: str) -> np.ndarray:
    return np.frombuffer(getattr(line, name), KINDS.get(name, "<f8"))


def beside(lines: Sequence[pb.ChartLine], name: str) -> tuple[np.ndarray, np.ndarray]:
    """All x, and the column of each line there: shape (buckets, lines), NaN where it has none."""
    x = np.unique(np.concatenate([column(line, "x") for line in lines]))
    table = np.full((len(x), len(lines)), NAN)
    for number, line in enumerate(lines):
        table[np.searchsorted(x, column(line, "x")), number] = column(line, name)
    return x, table


@pytest.fixture(params=["points", "cells", "built cells"])
def read_from(request: pytest.FixtureRequest, store: Store, monkeypatch: Any) -> None:
    """The same promises whatever is read; the last one leaves the store with its rollups."""
    monkeypatch.setattr(plan, "RAW_POINTS", 2**64 if request.param == "points" else -1)
    monkeypatch.setattr(plan, "POINTS_PER_CELL", 0)
    if request.param == "built cells":
        build_rollups(store)


@pytest.mark.usefixtures("read_from")
@pytest.mark.parametrize("cut", [{}, {"start": 133, "stop": 1_001}])
def test_quantiles_over_ranks_are_those_of_their_lines(store: Store, cut: dict[str, int]) -> None:
    wanted = [0.0, 0.1, 0.5, 0.95, 1.0]
    (band,) = chart(store, points=10, quantiles=wanted, **cut)
    x, means = beside(chart(store, points=10, ranks=pb.RankSelection(all=True), **cut), "mean")
    assert column(band, "x").tolist() == x.tolist()
    assert len(band.quantiles) == len(wanted)
    for quantile, data in zip(wanted, band.quantiles, strict=True):
        expected = np.nanquantile(means, quantile, axis=1)
        assert np.allclose(np.frombuffer(data, "<f8"), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("read_from")
def test_stragglers_are_the_ranks_that_deviate_most(store: Store) -> None:
    every = chart(store, points=10, ranks=pb.RankSelection(all=True))
    _, means = beside(every, "mean")
    _, counts = beside(every, "count")
    expected = deviations(means, counts > 0)
    found = chart(store, points=10, ranks=pb.RankSelection(stragglers=3))
    order = np.argsort(-expected, kind="stable")[:3].tolist()
    assert set(order[:2]) == {4, 6}, "the one that is off, and the one that logs NaN"
    assert [line.rank for line in found] == order
    assert np.allclose([line.deviation for line in found], expected[order], rtol=1e-5)
    for line in found:
        assert column(line, "mean").tobytes() == column(every[line.rank], "mean").tobytes()
    assert not every[0].HasField("deviation")


@pytest.mark.usefixtures("read_from")
def test_the_line_of_a_group_is_made_of_the_lines_of_its_runs(store: Store) -> None:
    runs = [record(f"r{n}", config={"opt": {"lr": lr}}) for n, lr in enumerate([0.1, 0.1, 2, 0.1])]
    low, high = chart(store, runs, group_by="opt.lr", quantiles=[0.25], x="relative")
    assert [(line.group, line.run_id) for line in (low, high)] == [("0.1", ""), ("2", "")]
    assert [list(line.group_run_ids) for line in (low, high)] == [["r0", "r1", "r3"], ["r2"]]
    alone = chart(store, runs, x="relative", common_grid=True)
    members = [alone[0], alone[1], alone[3]]
    x, means = beside(members, "mean")
    assert column(low, "x").tolist() == x.tolist()
    assert np.allclose(column(low, "mean"), np.nanmean(means, axis=1))
    assert np.allclose(np.frombuffer(low.quantiles[0], "<f8"), np.nanquantile(means, 0.25, axis=1))
    assert column(low, "group_runs").tolist() == (~np.isnan(means)).sum(axis=1).tolist()
    for name, over in (("min", np.nanmin), ("max", np.nanmax), ("count", np.nansum)):
        assert column(low, name).tolist() == over(beside(members, name)[1], axis=1).tolist()
    for extreme in ("min", "max"):
        values, steps = beside(members, extreme)[1], beside(members, f"arg{extreme}")[1]
        reached = values == column(low, extreme)[:, np.newaxis]
        first = np.where(reached, steps, np.inf).min(axis=1)
        assert column(low, f"arg{extreme}").tolist() == first.tolist()
    assert column(low, "at").tolist() == np.nanmin(beside(members, "at")[1], axis=1).tolist()
    # A group of one run is that run.
    for name in ("x", "min", "max", "mean", "first", "last", "count", "at"):
        assert getattr(high, name) == getattr(alone[2], name), name


def test_runs_are_grouped_by_what_they_have_in_common() -> None:
    runs = [
        record("a", group="g", tags=["t", "u"], config={"n": 10, "d": {"e": "x"}, "d.f": 1}),
        record("b", group="", tags=["u"], config={"n": 9, "d": {"e": [1]}}),
        record("c", group="g", tags=[], config={"n": None}),
    ]
    assert groups_of("group", runs) == {"g": ["a", "c"], "": ["b"]}
    assert groups_of("tags", runs) == {"t": ["a"], "u": ["a", "b"], "": ["c"]}
    assert list(groups_of("n", runs).items()) == [("9", ["b"]), ("10", ["a"]), ("null", ["c"])]
    assert groups_of("config.d.e", runs) == {"[1]": ["b"], "x": ["a"], "": ["c"]}
    assert groups_of("d.f", runs) == {"1": ["a"], "": ["b", "c"]}
    assert list(groups_of("state", runs)) == ["running"]
    for bad, says in (("job_type", "init"), ("nn", "'n'"), ("d.g", "'d.")):
        with pytest.raises(ServiceError, match=says) as caught:
            groups_of(bad, runs)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("axis", ["step", "time", "relative"])
def test_a_smoothed_line_is_that_of_its_means_and_counts(store: Store, axis: str) -> None:
    for kind, amount in (("ema", 0.9), ("ema_over_x", 0.8), ("gaussian", 2.0)):
        (line,) = chart(store, smoothing=pb.Smoothing(**{kind: amount}), x=axis)
        x, width = column(line, "x"), line.bucket_width
        # Steps and time run alike here.
        rough = Rough(
            column(line, "mean"), column(line, "count") - column(line, "nonfinite"), x / width
        )
        (expected,) = smoothed(Smoothing(Kind(kind), amount), [rough])
        assert np.allclose(column(line, "smooth"), expected, rtol=1e-2, equal_nan=True)
    (only,) = chart(store, smoothing=pb.Smoothing(ema=0.5), columns=["min"])
    assert (only.mean, len(only.smooth)) == (b"", 8 * only.rows), "means are read and not sent"


def test_groups_and_bands_are_smoothed_too(store: Store) -> None:
    smoothing = pb.Smoothing(gaussian=3.0)
    runs = [record(f"r{n}", tags=["t"]) for n in range(3)]
    (line,) = chart(store, runs, group_by="tags", smoothing=smoothing)
    assert np.isfinite(column(line, "smooth")).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"quantiles": [2.0]}, "no quantile"),
        ({"quantiles": [0.5], "ranks": pb.RankSelection(all=True)}, "ask for the band"),
        ({"smoothing": pb.Smoothing(ema=1.0)}, "below 1"),
        ({"smoothing": pb.Smoothing(gaussian=NAN)}, "above 0"),
        ({"ranks": pb.RankSelection(stragglers=1_001)}, "fewer"),
        ({"group_by": "tags", "ranks": pb.RankSelection(all=True)}, "leave `group_by` away"),
        ({"group_by": "state", "x": "metric:loss"}, "x axis"),
    ],
)
def test_bad_views_are_told_what_to_change(store: Store, change: Any, says: str) -> None:
    with pytest.raises(ServiceError, match=says) as caught:
        chart(store, **change)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_what_cannot_be_held_is_not_compared(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr(rank_means, "MAX_MEANS", 100)
    for request in ({"quantiles": [0.5]}, {"ranks": pb.RankSelection(stragglers=2)}):
        with pytest.raises(ServiceError, match="fewer points") as caught:
            chart(store, **request)
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_rank_alone_deviates_from_nobody(store: Store) -> None:
    points = [
        Point(run=siphash64("solo"), metric=siphash64("loss"), step=s, value=s, seq=s + 1)
        for s in range(5)
    ]
    store.insert_points([block(points)], rows=len(points), token="solo")
    (line,) = chart(store, ["solo"], ranks=pb.RankSelection(stragglers=2))
    assert (line.rank, line.deviation) == (0, 0.0)
    (line,) = chart(store, ["solo"], quantiles=[0.5])
    assert line.quantiles[0] == line.mean


@pytest.mark.usefixtures("read_from")
@pytest.mark.parametrize("request_", [{}, {"start": 9, "stop": 1_111}, {"points": 300}])
def test_logarithmic_buckets_hold_what_lies_between_their_bounds(
    store: Store, request_: dict[str, int]
) -> None:
    (line,) = chart(store, log_x=True, x="time", **request_)
    (every,) = chart(store, x="time", **{**request_, "points": 2_000})
    assert every.bucket_width == 1
    x, widths = column(line, "x"), np.frombuffer(line.widths, "<u8").astype(np.int64)
    assert line.bucket_width == 0
    assert len(x) <= request_.get("points", 50)
    assert (x[1:] >= (x + widths)[:-1]).all()
    steps = column(every, "x")
    for row, (at, width) in enumerate(zip(x, widths, strict=True)):
        inside = (steps >= at) & (steps < at + width)
        mine = {name: column(every, name)[inside] for name in ALL}
        got = {name: column(line, name)[row] for name in ALL}
        finite = mine["count"] - mine["nonfinite"]
        known = np.flatnonzero(finite)
        assert got["count"] == mine["count"].sum()
        assert got["nonfinite"] == mine["nonfinite"].sum()
        assert got["at"] == mine["at"].min()
        if not len(known):
            assert math.isnan(got["min"])
            continue
        assert (got["min"], got["max"]) == (np.nanmin(mine["min"]), np.nanmax(mine["max"]))
        assert got["argmin"] == mine["argmin"][np.nanargmin(mine["min"])]
        assert got["argmax"] == mine["argmax"][np.nanargmax(mine["max"])]
        assert (got["first"], got["last"]) == (mine["first"][known[0]], mine["last"][known[-1]])
        weighted = (mine["mean"] * finite)[known].sum() / finite.sum()
        assert got["mean"] == pytest.approx(weighted, abs=1e-5)
    assert column(line, "count").sum() == column(every, "count").sum()
    # As even as whole steps and cells allow.
    growth = (x + widths)[x > 50] / x[x > 50]
    assert growth.max() < 1.6


def test_logarithmic_grids_cover_every_range() -> None:
    rng = random.Random(3)
    for _ in range(500):
        lo = rng.choice([-(2**63), -7, 0, 1, 5, rng.randrange(2**40)])
        hi = lo + rng.choice([1, 2, 1_000, rng.randrange(1, 2**33), 2**62])
        points = rng.choice([16, 17, 100, 1_000])
        grid = log_grid(lo, hi, points, tiers.WIDTHS)
        assert list(grid.bounds) == sorted(set(grid.bounds))
        assert len(grid.bounds) - 1 <= points
        assert grid.bounds[0] <= lo < hi <= grid.bounds[-1]
        assert grid.zones[-1].end >= hi
        for before, after in itertools.pairwise(grid.zones):
            assert before.end == after.first
        for zone in grid.zones:
            cells = zone.cells
            if zone.first >= 1:
                unit = cells.tier or 1
                inside = [b for b in grid.bounds if zone.first <= b <= zone.end]
                assert all(bound % unit == 0 for bound in inside)
                assert (cells.origin, cells.end, cells.width) == (zone.first, zone.end, unit)


def test_what_needs_even_buckets_says_so(store: Store) -> None:
    for change in ({"quantiles": [0.5]}, {"ranks": pb.RankSelection(stragglers=1)}):
        with pytest.raises(ServiceError, match="log_x"):
            chart(store, log_x=True, **change)
    with pytest.raises(ServiceError, match="16 or more"):
        chart(store, log_x=True, points=3)
