"""A disabled run takes everything, keeps nothing and touches no file."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import stepline


@pytest.fixture
def run(tmp_path: Path) -> stepline.Run:
    return stepline.init(mode="disabled", dir=tmp_path / "spools", project="p", run_id="r")


def nothing_in(folder: Path) -> bool:
    return not any(folder.iterdir())


def test_everything_is_accepted_and_no_file_is_made(run: stepline.Run, tmp_path: Path) -> None:
    run.log({"loss": 0.5, "nested": {"lr": 1}}, step=3)
    run.log({"loss": 0.25})
    run.log_array("grad", np.arange(3), np.zeros(3))
    run.define_metric("val/*", goal="minimize")
    run.config["lr"] = 0.1
    run.summary["best"] = np.float32(0.5)
    assert run.flush(durable=True).complete
    report = run.finish()
    assert (report.stored, report.left, report.complete, report.spool) == (0, 0, True, None)
    assert nothing_in(tmp_path)


def test_it_is_the_same_object_otherwise(run: stepline.Run) -> None:
    assert (run.id, run.name, run.project, run.mode) == ("r", "r", "p", "disabled")
    assert (run.rank, run.world_size, run.attempt, run.spool) == (0, 1, None, None)
    run.config.update(lr=0.1)
    assert run.config["lr"] == 0.1
    health = run.health()
    assert (health.state, health.logged, health.queued, health.spool) == ("disabled", 0, 0, None)
    assert repr(run) == "<stepline run r of project 'p', rank 0, disabled>"


def test_it_says_nothing(run: stepline.Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.log({"loss": 0.5})
    run.finish()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_it_ends_like_any_other(run: stepline.Run) -> None:
    first = run.finish()
    assert run.finish(exit_code=1) is first
    with pytest.raises(stepline.RunFinished, match=r"Run r is finished: .*init\(\) again"):
        run.log({"loss": 0.5})
    with pytest.raises(stepline.RunFinished):
        run.log_array("grad", [1], [1.0])
    with pytest.raises(stepline.RunFinished):
        run.config["lr"] = 1
    assert dict(run.config) == {}


def test_wrong_arguments_are_refused_as_they_would_be_online(tmp_path: Path) -> None:
    for wrong in ({"run_id": "a b"}, {"config": {"a": 1j}}, {"rank": -1}, {"tags": "x"}):
        with pytest.raises(stepline.SteplineError):
            stepline.init(mode="disabled", dir=tmp_path, **wrong)  # type: ignore[arg-type]
    run = stepline.init(mode="disabled", dir=tmp_path)
    with pytest.raises(stepline.InvalidRequest, match=r"steps holds .*: pass whole numbers"):
        run.log_array("grad", [0.5], [1.0])
    with pytest.raises(stepline.InvalidRequest, match="goal='best' is unknown: use one of"):
        run.define_metric("loss", goal="best")  # type: ignore[arg-type]


# --- a service that does not answer --------------------------------------------------------------


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_without_a_service_a_run_may_be_disabled(
    nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stepline.init(server=nobody, dir=tmp_path / "spools", on_error="disabled")
    run.log({"loss": 0.5})
    run.finish()
    assert run.mode == "disabled"
    assert nothing_in(tmp_path)
    said = capsys.readouterr().err
    assert f"No Stepline service answers at {nobody}" in said
    assert "This run is disabled and logs nothing." in said


def test_without_a_service_a_run_may_be_an_error(nobody: str, tmp_path: Path) -> None:
    with pytest.raises(stepline.ServerUnreachable, match=f"answers at {nobody}.*stepline serve"):
        stepline.init(server=nobody, dir=tmp_path / "spools", on_error="raise")
    assert nothing_in(tmp_path)


# --- the current run -----------------------------------------------------------------------------


def test_without_a_run_the_module_says_how_to_get_one() -> None:
    for call in (
        lambda: stepline.log({"loss": 1.0}),
        stepline.finish,
        lambda: stepline.config["lr"],
        lambda: stepline.config.update(lr=1),
    ):
        with pytest.raises(stepline.NotInitialized, match=r"call stepline.init\(\) first"):
            call()
    assert repr(stepline.config) == "stepline.config of no run"


def test_the_module_acts_on_the_run_that_was_started_last() -> None:
    first = stepline.init(mode="disabled", run_id="first", config={"lr": 1})
    second = stepline.init(mode="disabled", run_id="second", config={"lr": 2})
    stepline.log({"loss": 1.0})
    stepline.config["seed"] = 3
    assert dict(stepline.config) == {"lr": 2, "seed": 3} == dict(second.config)
    assert stepline.finish().run_id == "second"
    assert dict(stepline.config) == {"lr": 1} == dict(first.config)
    assert stepline.finish().run_id == "first"
    with pytest.raises(stepline.NotInitialized):
        stepline.finish()


def test_a_block_finishes_its_run() -> None:
    with stepline.init(mode="disabled") as run:
        run.log({"loss": 1.0})
    assert "finished" in repr(run)
    with pytest.raises(KeyError), stepline.init(mode="disabled") as failed:
        raise KeyError
    assert "finished" in repr(failed)
