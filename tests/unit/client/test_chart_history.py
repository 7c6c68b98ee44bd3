"""`Chart` and `History`: columns of the wire as arrays, and as tables of other libraries."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stepline import Chart, History, InvalidRequest
from stepline.asking import question
from stepline.expired import Fields

NAMES = ["x", "min", "max", "mean", "first", "last", "count", "nonfinite", "argmin", "argmax"]
NAMES += ["step"]
# a NaN with a payload: what was logged comes back bit for bit
PAYLOAD = np.array([0x7FF8_0000_0000_1234], np.uint64).view(np.float64)[0]


def line(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "run_id": "r",
        "metric": "loss",
        "rank": 3,
        "bucket_width": 128,
        "tier_width": 0,
        "x": np.array([-128, 0], "<i8").tobytes(),
        "min": np.array([0.5, PAYLOAD], "<f8").tobytes(),
        "max": np.array([1.5, np.nan], "<f8").tobytes(),
        "mean": np.array([1.0, np.nan], "<f8").tobytes(),
        "first": np.array([1.5, np.nan], "<f8").tobytes(),
        "last": np.array([0.5, np.nan], "<f8").tobytes(),
        "count": np.array([2**64 - 1, 1], "<u8").tobytes(),
        "nonfinite": np.array([0, 1], "<u8").tobytes(),
        "argmin": np.array([-2, 7], "<i8").tobytes(),
        "argmax": np.array([-128, 7], "<i8").tobytes(),
        "at": b"",
    }
    return {**made, **changes}


@pytest.fixture
def chart() -> Chart:
    return Chart.from_line(line())


@pytest.fixture
def history() -> History:
    def chunk(
        steps: list[int], values: list[float]
    ) -> tuple[int, bytes, bytes, bytes, bytes, list[Fields]]:
        return (
            len(steps),
            np.array(steps, "<i8").tobytes(),
            np.array([1_700_000_000_000 + step for step in steps], "<i8").tobytes(),
            np.array(values, "<f8").tobytes(),
            b"",
            [],
        )

    chunks = [chunk([-(2**63), 1], [0.5, PAYLOAD]), chunk([], []), chunk([1], [math.inf])]
    return History.from_chunks(iter(chunks), run_id="r", metric="loss", rank=3)


# --- from the wire -------------------------------------------------------------------------------


def test_a_line_becomes_arrays_of_one_length(chart: Chart) -> None:
    assert (chart.run_id, chart.metric, chart.rank) == ("r", "loss", 3)
    assert (chart.bucket_width, chart.tier_width, len(chart)) == (128, 0, 2)
    columns = chart.columns()
    assert list(columns) == NAMES
    assert {len(column) for column in columns.values()} == {2}
    assert [str(column.dtype) for column in columns.values()] == [
        "int64",
        *["float64"] * 5,
        *["uint64"] * 2,
        *["int64"] * 3,
    ]
    assert chart.x.tolist() == [-128, 0]
    assert chart.count.tolist() == [2**64 - 1, 1]
    assert (chart.argmin.tolist(), chart.argmax.tolist()) == ([-2, 7], [-128, 7])


def test_nan_payloads_survive(chart: Chart, history: History) -> None:
    assert chart.min[1:].view(np.uint64)[0] == 0x7FF8_0000_0000_1234
    assert history.value[1:2].view(np.uint64)[0] == 0x7FF8_0000_0000_1234


def test_other_axes_keep_the_steps_beside() -> None:
    moments = np.array([1_700_000_000_000, 1_700_000_000_001], "<i8")
    timed = Chart.from_line(line(at=moments.tobytes()), "time", "time")
    assert (timed.x.tolist(), timed.step.tolist()) == (moments.tolist(), [-128, 0])
    tokens = Chart.from_line(line(at=np.array([0.5, 1e9]).tobytes()), "metric", "time")
    assert (tokens.kind, tokens.axis, tokens.x.tolist()) == ("metric", "time", [0.5, 1e9])


def test_steps_of_what_is_not_finite_come_when_asked_for(chart: Chart) -> None:
    asked = question(
        runs=["r"],
        metrics=["loss"],
        points=10,
        x="step",
        start=None,
        stop=None,
        ranks="band",
        common_grid=True,
        nonfinite_steps=True,
    )
    assert asked.fields["common_grid"] is True
    assert set(asked.fields["columns"]) == {*NAMES, "argnonfinite"} - {"x", "step"}
    assert chart.argnonfinite is None
    got = Chart.from_line(line(argnonfinite=np.array([-128, 7], "<i8").tobytes()))
    assert got.argnonfinite is not None
    assert got.argnonfinite.tolist() == [-128, 7]
    assert "argnonfinite" in got.columns()


def test_a_band_has_no_rank() -> None:
    band = line()
    del band["rank"]
    assert Chart.from_line(band).rank is None
    assert Chart.from_line(line(rank=None)).rank is None
    assert Chart.from_line(line(rank=0)).rank == 0


def test_a_chart_of_nothing_is_empty_and_still_typed() -> None:
    chart = Chart.empty(run_id="r", metric="loss", rank=None)
    assert len(chart) == 0
    assert (chart.run_id, chart.metric, chart.rank) == ("r", "loss", None)
    assert chart.x.dtype == np.int64
    assert chart.mean.dtype == np.float64


def test_chunks_become_one_history_in_order(history: History) -> None:
    assert len(history) == 3
    assert history.step.tolist() == [-(2**63), 1, 1]
    assert history.time.tolist() == [1_700_000_000_000 + step for step in history.step.tolist()]
    assert history.value.tolist()[::2] == [0.5, math.inf]
    assert list(history.columns()) == ["step", "time", "value"]


def test_a_history_of_nothing_is_empty_and_still_typed() -> None:
    history = History.from_chunks((), run_id="r", metric="loss", rank=0)
    assert len(history) == 0
    dtypes = [str(column.dtype) for column in history.columns().values()]
    assert dtypes == ["int64", "int64", "float64"]


def test_their_text_is_short(chart: Chart, history: History) -> None:
    assert "array" not in repr(chart) + repr(history)
    assert "metric='loss'" in repr(chart)
    assert "metric='loss'" in repr(history)


# --- to other libraries --------------------------------------------------------------------------


def from_arrow(table: Any) -> dict[str, np.ndarray]:
    return {name: table.column(name).to_numpy() for name in table.column_names}


def from_pandas(frame: Any) -> dict[str, np.ndarray]:
    return {name: frame[name].to_numpy() for name in frame.columns}


def from_polars(frame: Any) -> dict[str, np.ndarray]:
    return {name: frame[name].to_numpy() for name in frame.columns}


CONVERSIONS = pytest.mark.parametrize(
    ("method", "back"),
    [("to_arrow", from_arrow), ("to_pandas", from_pandas), ("to_polars", from_polars)],
)


@CONVERSIONS
@pytest.mark.parametrize("what", ["chart", "history"])
def test_every_column_arrives_with_its_type(
    request: pytest.FixtureRequest,
    what: str,
    method: str,
    back: Callable[[Any], dict[str, np.ndarray]],
) -> None:
    made = request.getfixturevalue(what)
    found = back(getattr(made, method)())
    assert list(found) == list(made.columns())
    for name, column in made.columns().items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


@CONVERSIONS
def test_an_empty_chart_arrives_with_its_columns(
    method: str, back: Callable[[Any], dict[str, np.ndarray]]
) -> None:
    made = Chart.empty(run_id="r", metric="loss", rank=None)
    found = back(getattr(made, method)())
    assert list(found) == NAMES
    assert {len(column) for column in found.values()} == {0}


@pytest.mark.parametrize(
    ("method", "package"),
    [("to_arrow", "pyarrow"), ("to_pandas", "pandas"), ("to_polars", "polars")],
)
def test_a_missing_library_is_named_with_the_remedy(
    chart: Chart, monkeypatch: pytest.MonkeyPatch, method: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{method}\(\) needs {package}: pip install {package}"):
        getattr(chart, method)()


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"points": 0}, "points=0 is too little: use 1 or more"),
        ({"points": 2**70}, "is too much"),
        ({"points": 1.5}, "no whole number"),
        ({"start": math.nan}, "start=nan is no whole number"),
        ({"stop": 2**63}, "stop=9223372036854775808 is too much"),
        ({"start": 2, "stop": 1}, "swap start and stop"),
        ({"ranks": -1}, "ranks=-1 is too little"),
        ({"ranks": "stragglers", "top": 0}, "top=0 is too little"),
    ],
)
def test_what_can_never_be_answered_is_refused_at_once(asked: dict[str, Any], said: str) -> None:
    usual: dict[str, Any] = {"points": 10, "x": None, "start": None, "stop": None, "ranks": "band"}
    with pytest.raises(InvalidRequest, match=said):
        question(runs=["r"], metrics=["loss"], **{**usual, **asked})
    numbers = {name: np.int64(1) for name in ("points", "start")}
    assert question(runs=["r"], metrics=["loss"], **{**usual, **numbers}).fields["points"] == 1
