"""An offline run lies on disk, whole, until `stepline sync` sends it."""

from __future__ import annotations

import copy
import json
import pickle
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepline
from stepline import _core, uploader
from stepline.meta import key_of
from tests.support.spool_file import read_spool


def start(folder: Path, **options: Any) -> stepline.Run:
    return stepline.init(mode="offline", dir=folder, **options)


def spool_of(run: stepline.Run) -> Path:
    assert run.spool is not None
    return run.spool


def test_a_spool_is_made_that_says_whose_it_is(tmp_path: Path) -> None:
    run = start(
        tmp_path,
        project="p",
        run_id="r",
        name="a name",
        config={"lr": 0.1},
        tags=["a", "b"],
        group="g",
        job_type="train",
        server="metrics:1",
        rank=2,
        world_size=4,
    )
    spool = spool_of(run)
    assert spool.parent == tmp_path
    meta = json.loads((spool / "spool.json").read_text())
    assert json.loads(meta["config_json"]) == {"lr": 0.1}
    wanted = {
        "project": "p",
        "run_id": "r",
        "name": "a name",
        "tags": ["a", "b"],
        "group": "g",
        "job_type": "train",
        "server": "metrics:1",
        "rank": 2,
        "world_size": 4,
        "attempt": None,
        "mode": "offline",
    }
    assert {name: meta[name] for name in wanted} == wanted


def test_finish_says_how_many_points_are_left_and_how_to_send_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(tmp_path, run_id="r", server="metrics:1")
    for step in range(10):
        run.log({"loss": 0.5, "lr": {"a": 1, "b": 2}}, step)
    run.log_array("grad", np.arange(100), np.ones(100))
    report = run.finish()
    assert (report.stored, report.left, report.complete) == (0, 130, False)
    assert report.spool == run.spool
    assert report.command is not None
    assert shlex.split(report.command)[2:] == [str(run.spool), "--server", "metrics:1"]
    assert str(report) in capsys.readouterr().err


def test_a_scan_sees_the_spool(tmp_path: Path) -> None:
    run = start(tmp_path, project="p", run_id="r", server="metrics:1", rank=1)
    run.log({"loss": 0.5, "lr": 1.0})
    run.log({"loss": 0.25})
    (alive,) = _core.spool_scan(str(tmp_path))
    assert (alive["alive"], alive["last_seq"], alive["acked_seq"]) == (True, 2, 0)
    run.finish()
    (ended,) = _core.spool_scan(str(tmp_path))
    assert not ended["alive"]
    assert ended["path"] == str(run.spool)
    assert (ended["project"], ended["run_id"], ended["rank"]) == ("p", "r", 1)
    assert (ended["server"], ended["state"]) == ("metrics:1", "waiting")
    assert _core.spool_left(str(run.spool)) == 3


def test_what_was_logged_and_said_lies_there_in_order(tmp_path: Path) -> None:
    run = start(tmp_path, config={"lr": 0.1})
    run.log({"loss": 0.5}, step=10)
    run.config["lr"] = np.float32(0.5)
    run.define_metric("val/*", goal="minimize", unit="nats")
    run.summary.update(best=0.25)
    run.log({"loss": 0.25})
    run.finish(exit_code=3)
    found = read_spool(spool_of(run))
    assert found.rows() == [(10, {"loss": 0.5}), (11, {"loss": 0.25})]
    *updates, last = found.controls
    said = [
        {key: json.loads(text) for key, text in control["update"].items()} for control in updates
    ]
    assert said == [
        {"config_json": {"lr": 0.5}},
        {
            "config_json": {
                "_stepline": {"metrics": {"val/*": {"goal": "minimize", "unit": "nats"}}}
            }
        },
        {"summary_json": {"best": 0.25}},
    ]
    assert last["finish"]["exit_code"] == 3
    assert dict(run.config) == {"lr": 0.5}


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories for which an uploader would have been started."""
    roots: list[str] = []
    monkeypatch.setattr(uploader, "ensure_running", roots.append)
    return roots


def test_somebody_is_started_to_sync_it_and_nobody_to_send_it(
    tmp_path: Path, started: list[str]
) -> None:
    run = start(tmp_path)
    run.log({"loss": 0.5})
    assert set(started) == {str(tmp_path)}
    assert not run._delivery.sends
    run.finish()
    assert [path.name for path in tmp_path.iterdir()] == [spool_of(run).name]


def test_health_and_flush_answer_without_waiting(tmp_path: Path) -> None:
    run = start(tmp_path)
    assert run.flush(timeout=None).complete
    with pytest.warns(RuntimeWarning, match="bad"):
        run.log({"loss": 0.5, "lr": 1, "bad": None})
    health = run.health()
    assert (health.state, health.logged, health.queued, health.acknowledged) == ("offline", 2, 2, 0)
    assert (health.refused, health.gaps, health.spool) == (1, 0, run.spool)
    assert health.bytes > 0
    assert health.lag_seconds >= 0
    flushed = run.flush(durable=True, timeout=None)
    assert (flushed.stored, flushed.left, flushed.durable, flushed.complete) == (0, 2, True, False)
    assert run.finish().refused == 1


def test_health_counts_when_asked_and_says_what_log_costs(tmp_path: Path) -> None:
    run = start(tmp_path)
    for step in range(310):
        run.log({"loss": 0.5}, step)
    health = run.health(exact=True)
    assert (health.exact, health.queued, health.sent, health.pending) == (True, 310, 0, 0)
    latency = health.latency
    assert latency.calls == sum(calls for _, calls in latency.histogram) == 10
    assert 0 < latency.p50_ns <= latency.p99_ns <= latency.max_ns


@pytest.mark.parametrize("exit_code", [None, "1", 2**31, 0.5])
def test_what_is_no_exit_code_is_refused_and_the_run_goes_on(
    tmp_path: Path, exit_code: Any
) -> None:
    run = start(tmp_path)
    with pytest.raises(stepline.InvalidRequest, match="pass an int"):
        run.finish(exit_code=exit_code)
    run.log({"loss": 0.5})
    assert run.finish(exit_code=1).left == 1


def test_a_copy_of_a_run_is_the_run(tmp_path: Path) -> None:
    run = start(tmp_path)
    assert copy.deepcopy({"run": run})["run"] is run is copy.copy(run)
    assert pickle.loads(pickle.dumps(run)) is run, "in the process that has it"


def test_the_key_does_not_travel_with_a_run(tmp_path: Path) -> None:
    run = start(tmp_path, api_key="a secret")
    assert b"a secret" not in pickle.dumps(run)
    assert key_of(str(spool_of(run))) == "a secret"
    assert key_of(str(tmp_path / "none")) is None


def test_a_run_without_points_leaves_none(tmp_path: Path) -> None:
    report = start(tmp_path, run_id="empty").finish()
    assert (report.stored, report.left) == (0, 0)
    assert str(report) == "run empty: 0 points stored"


def test_after_finish_nothing_is_taken(tmp_path: Path) -> None:
    run = start(tmp_path, config={"lr": 1})
    kept = run.log
    run.finish()
    with pytest.raises(stepline.RunFinished):
        run.log({"loss": 1.0})
    with pytest.warns(RuntimeWarning, match="closed"):
        kept({"loss": 1.0})
    with pytest.raises(stepline.RunFinished):
        run.config["lr"] = 2
    assert dict(run.config) == {"lr": 1}
    assert read_spool(spool_of(run)).points == []


@pytest.mark.parametrize(
    ("failure", "exit_code"),
    [
        (None, 0),
        (KeyError, 1),
        (KeyboardInterrupt, 130),
        (SystemExit, 0),
        (SystemExit(0), 0),
        (SystemExit(3), 3),
        (SystemExit(-1), 255),
        (SystemExit("bad input"), 1),
    ],
)
def test_a_block_tells_how_it_ended(tmp_path: Path, failure: Any, exit_code: int) -> None:
    run = start(tmp_path)

    def block() -> None:
        with run:
            if failure is not None:
                raise failure

    if failure is None:
        block()
    else:
        with pytest.raises(failure if isinstance(failure, type) else type(failure)):
            block()
    (last,) = read_spool(spool_of(run)).controls
    assert last["finish"]["exit_code"] == exit_code


def test_arrays_are_taken_as_they_come(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.log_array("float32", [1, 2], np.array([0.5, 1.5], np.float32))
    run.log_array("reversed", np.arange(3)[::-1], np.arange(3.0)[::-1])
    run.log_array("bools", (0, 1), (True, False))
    run.log_array("none", [], [])
    rows = read_spool(spool_of(run)).rows()
    assert rows == [
        (1, {"float32": 0.5}),
        (2, {"float32": 1.5}),
        (2, {"reversed": 2.0}),
        (1, {"reversed": 1.0}),
        (0, {"reversed": 0.0}),
        (0, {"bools": 1.0}),
        (1, {"bools": 0.0}),
    ]


@pytest.mark.parametrize(
    ("steps", "values", "message"),
    [
        ([0.5], [1.0], "steps holds float64: pass whole numbers"),
        ([1], ["x"], "values holds .*: pass numbers"),
        ([[1]], [1.0], "steps has 2 dimensions: pass a flat sequence"),
        ([1], [[1.0], [2.0, 3.0]], "values cannot be read as an array"),
        (np.array([2**63], np.uint64), [1.0], r"steps holds numbers above 2\*\*63 - 1"),
    ],
)
def test_arrays_that_are_none_are_refused(
    tmp_path: Path, steps: Any, values: Any, message: str
) -> None:
    run = start(tmp_path)
    with pytest.raises(stepline.InvalidRequest, match=message):
        run.log_array("grad", steps, values)
    assert run.health().logged == 0


def test_an_array_with_a_step_too_many_is_left_out_and_counted(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.warns(RuntimeWarning, match="2 steps and 1 values; pass one step for each value"):
        run.log_array("grad", [1, 2], [1.0])
    assert (run.health().logged, run.health().refused) == (0, 1)


def test_with_raise_a_wrong_value_is_an_error(tmp_path: Path) -> None:
    run = start(tmp_path, on_error="raise")
    with pytest.raises(TypeError, match="'loss'"):
        run.log({"loss": None, "lr": 1.0})
    assert read_spool(spool_of(run)).points == []


def test_a_directory_that_cannot_be_made_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(stepline.SpoolFailed, match=r"choose another place with init\(dir=\)"):
        start(tmp_path / "file" / "spools")
    with pytest.raises(stepline.NotInitialized):
        stepline.finish()


def test_two_runs_of_a_script_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLINE_LAUNCH_ID", str(tmp_path))
    first = start(tmp_path)
    first.finish()
    second = start(tmp_path)
    second.finish()
    assert first.id != second.id
    assert len(_core.spool_scan(str(tmp_path))) == 2
