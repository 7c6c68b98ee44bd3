"""Promise: what the reader and the command line ask for reaches the service, and comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stepline
from stepline.cli.main import main
from tests.support.processes import stop_uploaders
from tests.support.service import Service

RANKS, STEPS = 5, 60


@pytest.fixture(scope="module")
def logged(service: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    spools = tmp_path_factory.mktemp("views") / "spools"
    rng = np.random.default_rng(1)
    for name, lr in (("views", 0.1), ("views-b", 0.5)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STEPLINE_LAUNCH_ID", name)
            ranks = [
                stepline.init(
                    project="views",
                    run_id=name,
                    config={"lr": lr},
                    rank=rank,
                    world_size=RANKS,
                    server=service.grpc,
                    dir=spools,
                    resume="allow",
                )
                for rank in range(RANKS)
            ]
        for rank, run in enumerate(ranks):
            for step in range(STEPS):
                run.log({"loss": rng.normal() + (9 if rank == 3 else 0)}, step=step)
        for run in ranks:
            run.finish()
    stop_uploaders(spools)
    return "views"


def test_views_come_back_through_the_reader(client: stepline.Client, logged: str) -> None:
    view = client.run(logged)
    band = view.chart("loss", smooth=0.9, quantiles=(0.25, 0.75))
    assert band.smooth is not None
    assert np.abs(np.diff(band.smooth)).mean() < np.abs(np.diff(band.mean)).mean()
    assert (band.quantiles[0.25] <= band.quantiles[0.75]).all()
    assert list(band.columns())[-3:] == ["smooth", "q0.25", "q0.75"]
    worst = view.chart("loss", ranks="stragglers", top=2)
    assert worst[0].rank == 3
    assert worst[0].deviation is not None
    assert worst[0].deviation > (worst[1].deviation or 0)
    log = view.chart("loss", points=20, log_x=True)
    assert log.widths is not None
    assert (log.bucket_width, log.widths.sum()) == (0, STEPS)
    groups = client.chart(runs=[logged, "views-b"], metrics=["loss"], group_by="lr")
    assert [(chart.group, chart.group_run_ids) for chart in groups] == [
        ("0.1", ("views",)),
        ("0.5", ("views-b",)),
    ]
    for bad in ({"smooth": 1.0}, {"quantiles": (2,)}):
        with pytest.raises(stepline.InvalidRequest):
            view.chart("loss", **bad)
    with pytest.raises(stepline.InvalidRequest, match="'lr'"):
        client.chart(runs=[logged], metrics=["loss"], group_by="llr")


@pytest.mark.parametrize(
    "options",
    [
        ["--smooth", "5", "--smoothing", "gaussian", "--quantiles", "0.1,0.9"],
        ["--rank", "stragglers", "--top", "2"],
        ["--log-x"],
        ["--follow"],
    ],
)
def test_plot_draws_them(
    service: Service, logged: str, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["plot", logged, "loss", "--server", service.grpc, *options]) == 0
    assert "loss" in capsys.readouterr().out


def test_pictures_show_them(service: Service, logged: str, tmp_path: Path) -> None:
    out = tmp_path / "loss.png"
    options = ["--smooth", "0.9", "--quantiles", "0.1,0.9", "--log-x", "--out", str(out)]
    command = ["plot", logged, "loss", "--server", service.grpc]
    assert main([*command, *options]) != 0, "quantiles over ranks need even buckets"
    assert main([*command, *options[:2], *options[4:]]) == 0
    assert out.stat().st_size > 1_000
