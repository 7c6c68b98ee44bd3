"""Promise: what is logged appears in a watch, once, also when the service restarts meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import stepline
from stepline.watching import Watch
from tests.support.processes import stop_uploaders
from tests.support.service import Service


def until(watch: Watch, last: int) -> dict[int, int]:
    """The buckets that are told, each with how often, until the one of step LAST is."""
    told: dict[int, int] = {}
    for update in watch:
        for chart in update.changed:
            for step in chart.x.tolist():
                told[step] = told.get(step, 0) + 1
        if last in told:
            return told
    raise AssertionError("the watch ended")


def test_a_watch_goes_on_through_a_restart(tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    with Service(tmp_path / "store") as service:
        run = stepline.init(project="p", run_id="watched", server=service.grpc, dir=spools)
        run.log({"loss": 0.0}, step=0)
        with stepline.connect(service.grpc) as client, client.run("watched").watch("loss") as watch:
            assert until(watch, 0) == {0: 1}
            run.log({"loss": 1.0}, step=1)
            assert until(watch, 1) == {1: 1}
            service.restart()
            run.log({"loss": 2.0}, step=2)
            assert until(watch, 2) == {2: 1}
            run.finish()
            *_, last = watch
            assert last.states == {"watched": "finished"}
            (chart,) = last.charts
            assert chart.mean.tolist() == [0.0, 1.0, 2.0]
        stop_uploaders(spools)


def test_metrics_and_ranks_that_come_later_are_shown(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="p", run_id="late", server=service.grpc, dir=spools)
    run.log({"other": 1.0}, step=0)
    run.flush()
    with client.watch(runs=["late"], patterns=["train/*"], ranks="all") as watch:
        assert next(watch).charts == []
        run.log({"train/loss": 1.0}, step=1)
        assert [(c.metric, c.rank) for c in next(watch).changed] == [("train/loss", 0)]
        run.log({"train/acc": 1.0}, step=2)
        assert [(c.metric, c.rank) for c in next(watch).changed] == [("train/acc", 0)]
    run.finish()


def test_a_watched_chart_has_the_axis_that_was_defined(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="p", run_id="epochs", server=service.grpc, dir=spools)
    run.log({"loss": 1.0}, step=0)
    run.flush()
    with client.watch(runs=["epochs"], metrics=["loss"]) as watch:
        assert [(c.axis, c.x.tolist()) for c in next(watch).charts] == [("step", [0])]
        run.log({"loss": 0.9, "epoch": 0.5}, step=5)
        run.flush()
        # May be told when all points are there already.
        run.define_metric("loss", x="epoch")
        chart = next(u.charts[0] for u in watch if u.charts[0].axis == "epoch")
        assert (chart.x.tolist(), chart.mean.tolist()) == ([0.5], [0.9])
        run.log({"loss": 0.8, "epoch": 1.0}, step=10)
        (changed,) = next(u.changed for u in watch if u.changed)
        assert (changed.axis, changed.x.tolist(), changed.step.tolist()) == ("epoch", [1.0], [10])
    run.finish()


def test_a_run_that_is_deleted_ends_its_watch(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="p", run_id="doomed", server=service.grpc, dir=spools)
    run.log({"loss": 1.0}, step=0)
    run.finish()
    view = client.run("doomed")
    with view.watch("loss", forever=True) as watch:
        next(watch)
        view.delete()
        with pytest.raises(stepline.RunNotFound, match="deleted"):
            list(watch)
    with pytest.raises(stepline.RunNotFound):
        next(client.watch(runs=["doomed"], metrics=["loss"]))
