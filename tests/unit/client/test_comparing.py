"""What `compare` says is different is different, and the rest is the same."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import Any

import pytest

from stepline.cli.compare import _print_metrics
from stepline.comparing import Comparison, compared, flattened
from stepline.runs import Metric, RunInfo

WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def run(run_id: str, config: dict[str, Any], **summary: Any) -> RunInfo:
    return RunInfo(
        id=run_id, project="p", name=run_id, state="finished", config=config, summary=summary,
        tags=(), group="", job_type="", notes="", attempts=1, world_size=1, created=WHEN,
        updated=WHEN, exit_code=0,
    )  # fmt: skip


def metric(name: str, last: float, **said: Any) -> Metric:
    return Metric(
        name=name, count=9, ranks=1, first_step=0, last_step=8, last_value=last, min=last - 1,
        max=last + 1, nonfinite=0, **said,
    )  # fmt: skip


@pytest.fixture
def found() -> Comparison:
    runs = [
        run("a", {"lr": 1, "same": [1], "model": {"depth": 2, "a.b": 0}}, acc=0.5),
        run("b", {"lr": 1.0, "same": [1], "model": {"depth": 3}, "new": None, "flag": True}),
        run("c", {"lr": 1, "same": [1], "model": {"depth": 2}, "flag": 1}),
    ]
    shown = [
        {"loss": metric("loss", 3.0, goal="minimize"), "z": metric("z", 1.0)},
        {"loss": metric("loss", 2.0, goal="minimize")},
        {"loss": metric("loss", float("nan"), goal="minimize")},
    ]
    return compared(runs, shown, lambda **asked: [asked])  # type: ignore[list-item]


def test_what_machines_said_is_printed_when_it_is_asked_for(
    found: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = [{name: metric(name, 1.0) for name in ("z", "system/load")}]
    both = compared(found.runs[:1], shown, lambda **asked: [])
    for asked in ({}, {"everything": True}, {"named": True}):
        _print_metrics(both, **{"everything": False, "named": False, **asked})
        said = capsys.readouterr().out
        assert ("system/load" in said, "--all shows" in said) == (bool(asked), not asked)


def test_keys_that_differ(found: Comparison) -> None:
    assert {row.key: row.values for row in found.config} == {
        "model.depth": (2, 3, 2),
        "model.a.b": (0, None, None),
        "flag": (None, True, 1),
    }
    assert found.same == 3, "1 and 1.0 are one number; a key that is null is none"


def test_metrics_and_the_best_of_them(found: Comparison) -> None:
    loss, z = found.metrics
    assert loss.shown[:2] == (3.0, 2.0)
    assert (loss.best, z.best) == (1, None)
    assert z.shown == (1.0, None, None)
    assert found.likely() == "loss"
    best = dataclasses.replace(loss.metrics[0], summary="best")  # type: ignore[type-var]
    assert best.shown == best.best == 2.0  # type: ignore[union-attr]


def test_as_data(found: Comparison) -> None:
    frame = found.to_pandas()
    assert list(frame.index) == ["a", "b", "c"]
    assert frame["config", "model.depth"].tolist() == [2, 3, 2]
    assert frame["metrics", "loss"].tolist()[:2] == [3.0, 2.0]
    assert frame["summary", "acc"].tolist()[0] == 0.5
    data = found.to_dict()
    assert data["metrics"]["z"][1:] == [None, None]
    assert data["metrics"]["loss"][0]["best"] == 2.0
    (asked,) = found.charts("loss", points=7)
    assert asked == {"runs": ["a", "b", "c"], "metrics": ["loss"], "points": 7}


def test_runs_without_anything_in_common() -> None:
    nothing = compared([run("a", {}), run("b", {})], [{}, {}], lambda **asked: [])
    assert (nothing.config, nothing.metrics, nothing.same, nothing.likely()) == ((), (), 0, None)
    assert nothing.to_pandas().shape == (2, 0)


def test_addresses_that_clash() -> None:
    assert flattened({"a.b": 1, "a": {"b": 2}, "a/b": 3, "e": {}}) == {"a.b": 2, "e": {}}
