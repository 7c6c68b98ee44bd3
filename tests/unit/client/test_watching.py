"""Promise: a watch shows what the service said, put together; that a service went away and came
back is not noticed, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stepline import watching
from stepline.asking import question
from stepline.errors import InvalidRequest, RunNotFound, ServerUnreachable
from stepline.watching import Watch

NAMES = ("min", "max", "mean", "first", "last")


def line(
    buckets: dict[int, float], *, rank: int | None = None, metric: str = "loss", **more: Any
) -> dict[str, Any]:
    x = sorted(buckets)
    values = np.array([buckets[at] for at in x], "<f8").tobytes()
    steps, ones = np.array(x, "<i8").tobytes(), np.ones(len(x), "<u8").tobytes()
    return {
        "run_id": "r",
        "metric": metric,
        "rank": rank,
        "group": "",
        "bucket_width": 1,
        "tier_width": 0,
        **dict.fromkeys(("x", "argmin", "argmax"), steps),
        **dict.fromkeys(NAMES, values),
        **dict.fromkeys(("count", "nonfinite"), ones),
        "at": b"",
        "quantiles": [values],
        **more,
    }


def part(
    *lines: dict[str, Any],
    whole: bool = False,
    gone: bool = False,
    state: str = "",
    reset: bool = False,
    more: bool = False,
) -> dict[str, Any]:
    return {
        "lines": [(0, one, whole, gone) for one in lines],
        "runs": [{"run_id": "r", "state": state}] if state else [],
        "reset": reset,
        "more": more,
    }


def first(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return part(*lines, whole=True, reset=True, **{"state": "running", **more})


class Service:
    """Streams of updates; an exception in one of them breaks it."""

    def __init__(self, *streams: list[Any]) -> None:
        self.streams = list(streams)
        self.slept: list[float] = []

    def begin(self) -> Iterator[dict[str, Any]]:
        for said in self.streams.pop(0):
            if isinstance(said, Exception):
                raise said
            yield said

    def watch(self, *, forever: bool = False) -> Watch:
        asked = question(
            runs=["r"],
            metrics=["loss"],
            points=10,
            x="step",
            start=None,
            stop=None,
            ranks="band",
            quantiles=[0.5],
        )
        return Watch(self.begin, asked, forever=forever, sleep=self.slept.append)


def shown(charts: list[Any]) -> list[tuple[int | None, dict[int, float]]]:
    return [
        (chart.rank, dict(zip(chart.x.tolist(), chart.mean.tolist(), strict=True)))
        for chart in charts
    ]


def test_changes_are_put_together() -> None:
    service = Service(
        [
            first(line({0: 1.0, 1: 2.0}), line({0: 5.0}, rank=1), more=True),
            part(line({0: 4.0}, rank=0), whole=True),
            part(),  # a sign of life
            part(line({1: 2.5, 3: 3.0})),
            part(line({}, rank=1), gone=True),
            part(line({0: 9.0}), whole=True, state="finished"),
        ]
    )
    updates = list(service.watch())
    band = [(None, {0: 1.0, 1: 2.0}), (0, {0: 4.0}), (1, {0: 5.0})]
    assert shown(updates[0].charts) == shown(updates[0].changed) == band
    assert shown(updates[1].changed) == [(None, {1: 2.5, 3: 3.0})]
    assert shown(updates[1].charts)[0] == (None, {0: 1.0, 1: 2.5, 3: 3.0})
    assert updates[1].charts[0].quantiles[0.5].tolist() == [1.0, 2.5, 3.0]
    assert [rank for rank, _ in shown(updates[2].charts)] == [None, 0]
    assert shown(updates[3].charts)[0] == (None, {0: 9.0})
    assert [update.states["r"] for update in updates] == ["running"] * 3 + ["finished"]
    assert len(updates) == 4


def test_a_service_that_comes_back_tells_nothing_twice() -> None:
    lost = ServerUnreachable("gone")
    service = Service(
        [first(line({0: 1.0})), lost],
        [lost],
        [first(line({0: 1.0})), lost],  # nothing new
        [first(line({0: 1.0, 1: 2.0}), line({0: 7.0}, rank=3)), part(line({2: 3.0}))],
        [first(line({0: 1.0, 1: 2.0, 2: 3.0}), state="failed")],
    )
    updates = list(service.watch())
    assert [shown(update.changed) for update in updates] == [
        [(None, {0: 1.0})],
        [(None, {1: 2.0}), (3, {0: 7.0})],
        [(None, {2: 3.0})],
        [],
    ]
    assert shown(updates[-1].charts) == [(None, {0: 1.0, 1: 2.0, 2: 3.0})]
    assert len(service.slept) == 4
    assert all(0 < pause <= 5 for pause in service.slept)


def test_an_update_that_broke_off_is_told_again() -> None:
    service = Service(
        [first(line({0: 1.0})), part(line({1: 2.0}), more=True), ServerUnreachable("gone")],
        [first(line({0: 1.0, 1: 2.0}), state="finished")],
    )
    updates = list(service.watch())
    assert shown(updates[1].changed) == [(None, {1: 2.0})]


def test_without_a_service_at_the_beginning_there_is_nothing_to_wait_for() -> None:
    with pytest.raises(ServerUnreachable):
        next(Service([ServerUnreachable("nobody")]).watch())
    watch = Service([first(line({0: 1.0})), RunNotFound("deleted")]).watch()
    next(watch)
    with pytest.raises(RunNotFound):
        next(watch)


def test_it_gives_up_when_nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0)
    lost = ServerUnreachable("gone")
    watch = Service([first(line({0: 1.0})), lost], [lost], [lost]).watch()
    next(watch)
    with pytest.raises(ServerUnreachable):
        next(watch)


def test_it_ends_with_its_runs_or_goes_on_for_ever() -> None:
    told = [first(line({0: 1.0}), state="finished"), part(line({1: 1.0}))]
    assert len(list(Service(told).watch())) == 1
    watch = Service(told).watch(forever=True)
    next(watch)
    assert shown(next(watch).changed) == [(None, {1: 1.0})]
    watch.close()
    assert list(watch) == []


def test_what_cannot_be_asked_for_is_refused_before_it_is_sent() -> None:
    options = {"points": 10, "x": "step", "start": None, "stop": None, "ranks": "band"}
    good: dict[str, Any] = {"runs": ["r"], "metrics": ["loss"], **options}
    for bad, says in [
        ({"smoothing": "median"}, "ema"),
        ({"metrics": "loss"}, "list"),
        ({"start": 3, "stop": 2}, "swap"),
    ]:
        with pytest.raises(InvalidRequest, match=says):
            question(**{**good, **bad})
    fields = question(**good, smooth=0.9, smoothing="gaussian", quantiles=(0, 1)).fields
    assert (fields["smoothing"], fields["quantiles"]) == (("gaussian", 0.9), [0.0, 1.0])
