"""What a chart is asked for with: from the options of the reader to the fields of a request."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .chart import Kind
from .errors import InvalidRequest

Ranks = Literal["band", "all", "stragglers"] | int
SmoothingKind = Literal["ema", "ema_over_x", "gaussian"]
SMOOTHINGS: tuple[SmoothingKind, ...] = ("ema", "ema_over_x", "gaussian")

_COLUMNS = ("min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite")
_METRIC = "metric:"
_MOST = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Question:
    """A chart that is asked for."""

    fields: dict[str, Any]
    """Of ChartRequest, as the extension takes them."""
    kind: Kind
    axis: str
    quantiles: tuple[float, ...]


def question(
    *,
    runs: Iterable[str],
    metrics: Iterable[str],
    points: int,
    x: str | None,
    start: int | None,
    stop: int | None,
    ranks: Ranks,
    top: int = 8,
    smooth: float | None = None,
    smoothing: SmoothingKind = "ema",
    quantiles: Iterable[float] = (),
    group_by: str | None = None,
    log_x: bool = False,
    all_attempts: bool = False,
    common_grid: bool = False,
    nonfinite_steps: bool = False,
    patterns: Iterable[str] = (),
) -> Question:
    """Raises InvalidRequest for what no service could answer."""
    kind, axis = axis_of(x or "step")
    check_range(start, stop)
    whole("points", points, 1, _MOST)
    whole("top", top, 1, _MOST)
    if not isinstance(ranks, str):
        whole("ranks", ranks, 0, _MOST)
    if smoothing not in SMOOTHINGS:
        raise InvalidRequest(f"smoothing={smoothing!r} is not known: use {', '.join(SMOOTHINGS)}.")
    wanted = tuple(float(quantile) for quantile in quantiles)
    fields: dict[str, Any] = {
        "run_ids": texts("runs", runs),
        "metrics": texts("metrics", metrics),
        "points": points,
        "x": "" if x is None else f"{_METRIC}{axis}" if kind == "metric" else kind,
        "start": start,
        "stop": stop,
        "ranks": ("stragglers", top) if ranks == "stragglers" else ranks,
    }
    more: dict[str, Any] = {
        "smoothing": None if smooth is None else (smoothing, float(smooth)),
        "quantiles": list(wanted),
        "group_by": group_by or "",
        "log_x": log_x,
        "all_attempts": all_attempts,
        "common_grid": common_grid,
        "columns": [*_COLUMNS, "argnonfinite"] if nonfinite_steps else [],
        "patterns": texts("patterns", patterns),
    }
    fields |= {name: value for name, value in more.items() if value}
    return Question(fields=fields, kind=kind, axis=axis, quantiles=wanted)


def check_range(start: int | None, stop: int | None) -> None:
    """Raises InvalidRequest for what are no steps, and for a range that ends before it begins."""
    for what, step in (("start", start), ("stop", stop)):
        if step is not None:
            whole(what, step, -(2**63), 2**63 - 1)
    if start is not None and stop is not None and stop < start:
        raise InvalidRequest(
            f"The range from step {start} to {stop} ends before it begins: swap start and stop."
        )


def whole(what: str, value: object, least: int, most: int) -> None:
    """Raises InvalidRequest when VALUE is no whole number from LEAST to MOST."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidRequest(f"{what}={value!r} is no whole number: give one.") from None
    if number < least:
        raise InvalidRequest(f"{what}={number} is too little: use {least} or more.")
    if number > most:
        raise InvalidRequest(f"{what}={number} is too much: use {most} or less.")


def axis_of(x: str) -> tuple[Kind, str]:
    """What X counts, and its name."""
    kinds: dict[str, Kind] = {"step": "step", "time": "time", "relative": "relative"}
    if x in kinds:
        return kinds[x], x
    return "metric", x.removeprefix(_METRIC)


def defined_axis(line: Mapping[str, Any], kind: Kind, axis: str) -> tuple[Kind, str]:
    """The axis of LINE: KIND and AXIS, unless the definition of its metric chose another one."""
    defined = line.get("defined_x")
    return axis_of(defined) if defined else (kind, axis)


def texts(what: str, values: Iterable[str]) -> list[str]:
    """VALUES as a list; a single text is a mistake."""
    if isinstance(values, str):
        raise InvalidRequest(f"{what}={values!r} is one text: pass a list, such as [{values!r}].")
    return list(values)
