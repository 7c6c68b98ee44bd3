"""Charts as characters and as pictures."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from stepline import Chart, InvalidRequest
from stepline.chart import Kind
from stepline.plotting import figure, terminal
from stepline.plotting.axis import Axis

PNG = b"\x89PNG\r\n\x1a\n"


def chart(
    mean: list[float],
    *,
    spread: float = 0.0,
    rank: int | None = None,
    width: int = 1,
    kind: Kind = "step",
    axis: str = "step",
    x: list[float] | None = None,
) -> Chart:
    values = np.array(mean)
    count = len(values)
    return Chart(
        run_id="r",
        metric="loss",
        rank=rank,
        bucket_width=width,
        tier_width=0,
        kind=kind,
        axis=axis,
        x=np.arange(count, dtype=np.int64) * width if x is None else np.array(x),
        step=np.arange(count, dtype=np.int64) * width,
        min=values - spread,
        max=values + spread,
        mean=values,
        first=values,
        last=values,
        count=np.full(count, 10, np.uint64),
        nonfinite=np.where(np.isfinite(values), 0, 10).astype(np.uint64),
        argmin=np.arange(count, dtype=np.int64),
        argmax=np.arange(count, dtype=np.int64),
    )


EMPTY = Chart.empty(run_id="r", metric="loss", rank=None)
FALLING = [4.0, 2.0, 1.0, 0.5]
BROKEN = [4.0, float("nan"), float("inf"), 0.5]


def drawn(*charts: Chart, color: bool = False, log: bool = False, width: int = 60) -> str:
    return terminal.draw(charts, title="loss  (r)", width=width, height=15, color=color, log=log)


def dots(text: str) -> int:
    return sum(0x2801 <= ord(char) <= 0x28FF for char in text)


# --- the terminal --------------------------------------------------------------------------------


def test_a_band_is_drawn_with_its_edges() -> None:
    text = drawn(chart(FALLING, spread=0.25, width=100))
    lines = text.split("\n")
    assert lines[0].strip() == "loss  (r)"
    assert all(word in text for word in ("mean", "min", "max"))
    assert lines[-1] == "40 points, 100 steps a bucket"
    assert max(map(len, lines)) <= 60
    assert len(lines) == 16
    assert dots(text) > dots(drawn(chart(FALLING, width=100)))


def test_a_line_without_a_band_has_no_edges() -> None:
    text = drawn(chart(FALLING))
    assert "max" not in text
    assert text.endswith("40 points, 1 step a bucket")


def test_ranks_have_a_line_each() -> None:
    text = drawn(*(chart([rank, rank + 1.0], spread=0.1, rank=rank) for rank in (0, 1, 12)))
    assert all(f"rank {rank}" in text for rank in (0, 1, 12))
    assert "mean" not in text
    assert "60 points" in text


def test_the_axis_spans_the_steps_to_the_end_of_the_last_bucket() -> None:
    text = drawn(chart(FALLING, width=1_000), width=80)
    axis = text.split("\n")[-3].split()
    assert (axis[0], axis[-1]) == ("0", "3,999")


@pytest.mark.parametrize("log", [False, True])
def test_what_is_not_finite_is_counted_and_left_out(log: bool) -> None:
    text = drawn(chart(BROKEN), log=log)
    assert text.endswith("40 points, 1 step a bucket, 20 not finite")
    assert dots(text) > 0
    assert "nan" not in text


@pytest.mark.parametrize("log", [False, True])
def test_a_chart_without_any_number_says_so(log: bool) -> None:
    text = drawn(chart([float("nan"), float("inf")]), log=log)
    what = "positive" if log else "finite"
    assert text == (
        f"loss  (r): no {what} values in this range\n20 points, 1 step a bucket, 20 not finite"
    )


def test_a_logarithm_of_what_is_not_positive_says_so() -> None:
    assert "no positive values in this range" in drawn(chart([-1.0, 0.0]), log=True)
    assert dots(drawn(chart([-1.0, 0.0]))) > 0


def test_no_points_are_one_line() -> None:
    assert drawn(EMPTY) == drawn() == "loss  (r): no points in this range"


def test_an_empty_rank_does_not_hide_the_others() -> None:
    text = drawn(EMPTY, chart(FALLING, rank=1))
    assert dots(text) > 0
    assert "40 points" in text


def test_colors_are_only_there_when_asked_for() -> None:
    assert "\x1b[" in drawn(chart(FALLING), color=True)
    assert "\x1b" not in drawn(chart(FALLING))


def test_one_chart_does_not_show_through_the_next() -> None:
    alone = drawn(chart(FALLING))
    drawn(chart([100.0, -100.0], spread=5))
    assert drawn(chart(FALLING)) == alone


def test_the_size_is_that_of_the_terminal_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, lines, expected in [
        ("80", "24", (80, 21)),
        ("500", "200", (160, 28)),
        ("40", "5", (40, 10)),
    ]:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("LINES", lines)
        assert terminal.size() == expected
    assert terminal.buckets(100) == 2 * 88
    assert terminal.buckets(5) == 16


# --- pictures ------------------------------------------------------------------------------------


def test_a_png_is_written(tmp_path: Path) -> None:
    path = tmp_path / "loss.png"
    figure.save_figure([chart(FALLING, spread=0.25)], path, title="loss")
    assert path.read_bytes().startswith(PNG)


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "LOSS.PNG"
    figure.save_figure([chart(FALLING)], path, title="loss")
    assert path.read_bytes().startswith(PNG)


@pytest.fixture
def svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a picture goes whose text stays text."""
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")
    return tmp_path / "loss.svg"


def test_a_band_names_its_mean_and_its_edges(svg: Path) -> None:
    figure.save_figure([chart(FALLING, spread=0.25)], svg, title="the title")
    text = svg.read_text()
    assert "<svg" in text
    for words in (">the title<", ">step<", ">loss<", ">mean<", ">min to max over ranks<"):
        assert words in text
    assert "NaN" not in text


def test_what_is_not_finite_is_marked_and_counted(svg: Path) -> None:
    figure.save_figure([chart(BROKEN, rank=0)], svg, title="loss")
    assert "NaN or infinite (20 points)" in svg.read_text()


def test_a_chart_without_any_number_still_has_its_marks(svg: Path) -> None:
    figure.save_figure([chart([float("nan")] * 3)], svg, title="loss", log=True)
    text = svg.read_text()
    assert "NaN or infinite (30 points)" in text
    assert "no positive values" in text


def test_ranks_are_named_unless_they_are_many(svg: Path) -> None:
    figure.save_figure([chart(FALLING, rank=rank) for rank in range(3)], svg, title="loss")
    assert all(f">rank {rank}<" in svg.read_text() for rank in range(3))
    figure.save_figure([chart(FALLING, rank=rank) for rank in range(11)], svg, title="loss")
    assert "rank 0" not in svg.read_text()


@pytest.mark.parametrize("charts", [[], [EMPTY]])
@pytest.mark.parametrize("log", [False, True])
def test_no_points_make_a_picture_that_says_so(svg: Path, charts: list[Chart], log: bool) -> None:
    figure.save_figure(charts, svg, title="loss", log=log)
    assert "no points in this range" in svg.read_text()


@pytest.mark.parametrize("log", [False, True])
def test_a_logarithmic_picture_draws_powers_of_ten_as_a_straight_line(svg: Path, log: bool) -> None:
    figure.save_figure([chart([1.0, 10.0, 100.0, 1000.0])], svg, title="loss", log=log)
    point = r"[ML] [\d.]+ ([\d.]+) *\s"
    (heights,) = re.findall(rf'd="{point * 4}" clip-path', svg.read_text())
    falls = -np.diff(np.array(heights, float))
    assert np.all(falls > 0)
    assert np.allclose(falls, falls[0], rtol=1e-3) == log


@pytest.mark.parametrize("name", ["loss.gif", "loss", "png"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"no known suffix: use one of \.png, \.svg, \.pdf"):
        figure.save_figure([chart(FALLING)], tmp_path / name, title="loss")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere/loss.png cannot be written .*--out"):
        figure.save_figure([chart(FALLING)], tmp_path / "nowhere" / "loss.png", title="loss")


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "stepline\[plot\]"'):
        figure.save_figure([chart(FALLING)], tmp_path / "loss.png", title="loss")


# --- other axes than steps -----------------------------------------------------------------------

START = int(datetime(2026, 3, 1, 12, 0, 0).astimezone().timestamp()) * 1000


@pytest.mark.parametrize(
    ("kind", "x", "label", "ends"),
    [
        ("time", [START, START + 30_000], "time", ("12:00:00", "12:00:30")),
        ("time", [START, START + 5 * 86_400_000], "time", ("Mar 01 12:00", "Mar 06 12:00")),
        ("relative", [0, 90_000], "time since the start", ("0 s", "90 s")),
        ("relative", [0, 5_400_000], "time since the start", ("0:00", "1:30:00")),
        ("metric", [0.5, 1e9], "tokens", ("0.5", "1e+09")),
    ],
)
def test_an_axis_is_labelled_as_people_read_it(
    kind: Kind, x: list[float], label: str, ends: tuple[str, str], tmp_path: Path
) -> None:
    places = np.array(x, np.float64 if kind == "metric" else np.int64)
    one = chart([1.0, 2.0], kind=kind, axis="tokens" if kind == "metric" else kind, x=places)
    text = drawn(one, width=100)
    assert label in text
    for end in ends:
        assert end in text
    figure.save_figure([one], tmp_path / "chart.png", title="")
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG)


def test_a_place_on_the_axis_is_exact_beyond_what_a_float_can_say() -> None:
    first = 2**53 + 1
    one = chart([1.0, 2.0], x=[first, first + 4])
    assert Axis.of([one]).span([one]) == (first, first + 4)
    assert Axis.of([one]).ticks(first, first + 4, 5) == [first + n for n in range(5)]
