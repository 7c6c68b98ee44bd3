"""Promise: whoever holds a run, however it ends and is started again, one line is shown, nothing
that was logged is lost, and the state says what happened.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline.cli.main import main
from tests.support.processes import wait_until
from tests.support.service import Service

_NUMBERS = itertools.count()

Job = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run_id() -> str:
    return f"attempts-{next(_NUMBERS)}"


@pytest.fixture
def job(service: Service, spools: Path, run_id: str) -> Iterator[Job]:
    """Starts a training job: a program with `run`, whose first line is printed when it has run."""
    started: list[subprocess.Popen[str]] = []

    def start(
        program: str, environment: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[str]:
        given = {"server": service.grpc, "dir": str(spools), "run_id": run_id, **options}
        text = f"import os, time, stepline\nrun = stepline.init(**{given!r})\n"
        process = subprocess.Popen(
            [sys.executable, "-c", text + textwrap.dedent(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={key: value for key, value in os.environ.items() if "STEPLINE" not in key}
            | (environment or {}),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def log(first: int, stop: int, value: float) -> str:
    return f"for s in range({first}, {stop}): run.log({{'loss': {value}}}, step=s)\n"


RUNS_ON = "print('logged', flush=True); time.sleep(600)\n"


def state(client: stepline.Client, run_id: str, expected: str) -> None:
    wait_until(lambda: client.run(run_id).info.state == expected, what=f"{run_id} is {expected}")


def test_a_resumed_job_that_repeats_steps_shows_one_line(
    client: stepline.Client, job: Job, run_id: str
) -> None:
    first = job(log(0, 701, 1.0) + RUNS_ON)
    assert said(first) == "logged"
    first.send_signal(signal.SIGKILL)
    # Its uploader lives: a trainer that is gone without a word has crashed at once.
    state(client, run_id, "crashed")
    second = job(log(501, 901, 2.0) + "run.finish()\n", resume="must")
    assert second.wait(60) == 0
    state(client, run_id, "finished")
    view = client.run(run_id)
    wait_until(lambda: len(view.points(all_attempts=True).to_arrow()) == 1101, what="all points")
    history = view.history("loss")
    assert history.step.tolist() == list(range(901)), "no fold"
    assert history.value.tolist() == [1.0] * 501 + [2.0] * 400
    chart = view.chart("loss", points=5_000)
    assert chart.count.sum() == 901
    both = client.chart(runs=[run_id], metrics=["loss"], all_attempts=True)
    assert [(line.attempt, int(line.count.sum())) for line in both] == [(1, 701), (2, 400)]
    every = view.history("loss", all_attempts=True)
    assert every.attempt is not None
    assert every.attempt.tolist() == [1] * 701 + [2] * 400
    visible = client.sql(
        f"SELECT count(), sum(value) FROM visible_points WHERE run = '{run_id}'"
    ).rows[0]
    assert [float(number) for number in visible] == [901, 501 + 800]
    assert [a.state for a in view.lineage().attempts] == ["crashed", "finished"]
    # What was superseded comes back, from step 600 on.
    view.bring_back(1, step=600)
    assert view.history("loss").value.tolist() == [1.0] * 501 + [2.0] * 99 + [1.0] * 101


def test_a_second_job_is_refused_or_fences_the_first(
    client: stepline.Client, job: Job, run_id: str, service: Service, spools: Path
) -> None:
    first = job(
        log(0, 100, 1.0)
        + "print('logged', flush=True); input()\n"
        + log(100, 200, 1.0)
        + "run.finish()\nprint('finished', flush=True)\n"
    )
    assert said(first) == "logged"
    options = {"server": service.grpc, "dir": spools, "run_id": run_id}
    with pytest.raises(stepline.RunIsLive, match=f"process {first.pid} gave its last sign of life"):
        stepline.init(resume="allow", **options)
    with stepline.init(resume="allow", on_live="new_run", **options) as aside:
        assert aside.id.startswith(f"{run_id}-")
    with stepline.init(resume="allow", on_live="take_over", **options) as second:
        assert second.attempt == 2
        for step in range(50, 150):
            second.log({"loss": 2.0}, step=step)
    assert client.run(run_id).info.state == "finished"
    # The first one goes on, does not notice, and is seen no more.
    assert first.stdin is not None
    first.stdin.write("\n")
    first.stdin.flush()
    assert said(first) == "finished"
    view = client.run(run_id)
    wait_until(lambda: len(view.points(all_attempts=True).to_arrow()) == 300, what="all points")
    assert view.history("loss").value.tolist() == [1.0] * 50 + [2.0] * 100
    assert [a.state for a in view.lineage().attempts] == ["finished", "finished"]


def test_how_a_job_ended(client: stepline.Client, job: Job, run_id: str) -> None:
    failed = job("run.log({'loss': 1.0})\nraise ValueError('no such lr')\n")
    assert failed.wait(60) == 1
    state(client, run_id, "failed")
    info = client.run(run_id).info
    assert (info.exit_code, info.error_type, info.error_message) == (1, "ValueError", "no such lr")
    gone = job(
        "run.log({'loss': 1.0})\nrun.mark_preempting()\nrun.flush()\nos._exit(143)\n",
        resume="allow",
    )
    gone.wait(60)
    state(client, run_id, "preempted")
    assert main(["attempts", run_id, "--server", client.server]) == 0


def test_a_fork_goes_on_where_the_other_run_was(
    client: stepline.Client, job: Job, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job(log(0, 701, 1.0) + "run.finish()\n").wait(60) == 0
    fork = f"{run_id}-fork"
    program = log(501, 600, 2.0) + "run.finish()\n"
    assert job(program, run_id=fork, fork_from=f"{run_id}@500").wait(60) == 0
    view = client.run(fork)
    assert view.info.fork == f"{run_id}@500"
    assert view.history("loss").value.tolist() == [1.0] * 501 + [2.0] * 99
    (metric,) = view.metrics()
    assert (metric.count, metric.first_step, metric.last_step) == (600, 0, 599)
    table = view.points().to_arrow()
    assert sorted(table.column("run").to_pylist()) == [run_id] * 501 + [fork] * 99
    capsys.readouterr()
    assert main(["attempts", fork, "--server", client.server]) == 0
    assert f"of run {run_id}, attempt 1" in capsys.readouterr().out


def test_ranks_that_fail_are_named_and_a_job_that_comes_back_is_the_next_attempt(
    client: stepline.Client,
    job: Job,
    run_id: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    two: dict[str, Any] = {"world_size": 2}
    two["environment"] = {"STEPLINE_LAUNCH_ID": f"pod-of-{run_id}"}
    first = [job(log(0, 100, 1.0) + RUNS_ON, rank=rank, **two) for rank in range(2)]
    assert [said(process) for process in first] == ["logged", "logged"]
    wait_until(
        lambda: client.run(run_id).lineage().attempts[0].living == 2, what="both ranks are heard"
    )
    first[1].kill()
    state(client, run_id, "crashed")
    (attempt,) = client.run(run_id).lineage().attempts
    assert [(rank.rank, rank.state) for rank in attempt.troubled] == [(1, "crashed")]
    assert main(["attempts", run_id, "--server", client.server]) == 0
    assert main(["show", run_id, "--server", client.server]) == 0
    assert capsys.readouterr().out.count("crashed: 1") == 2
    # It comes back while the other one lives.
    back = job(RUNS_ON, rank=1, **two)
    assert said(back) == "logged"
    state(client, run_id, "running")
    for process in (first[0], back):
        process.kill()
    wait_until(
        lambda: client.run(run_id).lineage().attempts[0].troubled_ranks == 2, what="both are gone"
    )
    # Nobody lives: whoever comes now is a new start, and nothing is mixed.
    again = [job(log(50, 80, 2.0) + "run.finish()\n", rank=rank, **two) for rank in range(2)]
    assert [process.wait(60) for process in again] == [0, 0]
    state(client, run_id, "finished")
    history = client.run(run_id).history("loss", rank=0)
    assert history.value.tolist() == [1.0] * 50 + [2.0] * 30
    assert [a.state for a in client.run(run_id).lineage().attempts] == ["crashed", "finished"]
