"""What a user sees when something is wrong: a clear sentence with the remedy, and nothing lost."""

from __future__ import annotations

import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import stepline
from stepline import _core
from tests.support.oracle import METRICS, judge, value
from tests.support.processes import ROOT, wait_drained
from tests.support.service import Service


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stepline_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepline.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unreachable_server_costs_a_warning_and_no_point(
    tmp_path: Path, spools: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    run = stepline.init(project="weather", run_id="late", server=address, dir=spools, rank=0)
    warned = capfd.readouterr().err
    assert address in warned
    assert "stepline sync" in warned
    assert str(spools) in warned
    for step in range(1_000):
        run.log({m: value(0, step, i) for i, m in enumerate(METRICS)}, step=step)
    report = run.finish(timeout=1)
    assert (report.stored, report.left) == (0, 3_000)
    with Service(tmp_path / "store", grpc_port=int(address.rsplit(":", 1)[1])) as service:
        done = stepline_command("sync", str(spools), "--server", service.grpc)
        assert done.returncode == 0, done.stderr
        with stepline.connect(service.grpc) as client:
            judge(client, "late", 0, at_least=1_000, at_most=1_000)
    assert _core.spool_scan(str(spools)) == []


def test_on_error_raise_raises(spools: Path) -> None:
    with pytest.raises(stepline.ServerUnreachable, match="stepline serve"):
        stepline.init(
            project="weather",
            server=f"127.0.0.1:{free_port()}",
            dir=spools,
            on_error="raise",
        )


def test_an_offline_run_waits_for_sync(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(
        project="weather",
        run_id="offline-1",
        mode="offline",
        server=service.grpc,
        dir=spools,
        rank=0,
    )
    for step in range(100):
        run.log({m: value(0, step, i) for i, m in enumerate(METRICS)}, step=step)
    run.finish()
    for _ in range(2):  # the second time there is nothing left to do
        done = stepline_command("sync", str(spools), "--server", service.grpc)
        assert done.returncode == 0, done.stderr
    judge(client, "offline-1", 0, at_least=100, at_most=100)


def test_a_run_id_that_is_taken(service: Service, spools: Path) -> None:
    stepline.init(project="weather", run_id="taken", server=service.grpc, dir=spools).finish()
    with pytest.raises(stepline.RunExists, match="resume"):
        stepline.init(project="weather", run_id="taken", server=service.grpc, dir=spools)


def test_wrong_values_are_named_and_the_rest_is_kept(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="weather", server=service.grpc, dir=spools)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.log({"loss": 1.0, "note": "a string", "c": 1j}, step=0)
        run.log({"loss": 2.0, "note": "a string", "c": 1j}, step=1)
    said = sorted(str(warning.message) for warning in caught)
    assert len(said) == 2, f"one warning a metric, not one a call: {said}"
    assert "'c'" in said[0]
    assert "'note'" in said[1]
    assert run.health().refused == 4
    run.finish()
    assert client.run(run.id).history("loss").value.tolist() == [1.0, 2.0]


def test_wrong_values_raise_when_asked_to(service: Service, spools: Path) -> None:
    run = stepline.init(project="weather", server=service.grpc, dir=spools, on_error="raise")
    with pytest.raises(TypeError, match="note"):
        run.log({"note": "a string"}, step=0)
    with pytest.raises(ValueError, match=r"1024|1,024"):
        run.log({"x" * 2_000: 1.0}, step=0)
    run.finish()


def test_two_services_cannot_share_a_store(service: Service, tmp_path: Path) -> None:
    second = stepline_command(
        *("serve", "--data", str(service.data)),
        *("--grpc-port", "0", "--http-port", "0", "--sql-port", "0"),
    )
    assert second.returncode == 1
    assert str(service.data) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use(service: Service, tmp_path: Path) -> None:
    port = service.grpc.rsplit(":", 1)[1]
    second = stepline_command(
        *("serve", "--data", str(tmp_path / "other")),
        *("--grpc-port", port, "--http-port", "0", "--sql-port", "0"),
    )
    assert second.returncode == 1
    assert port in second.stderr
    assert "Traceback" not in second.stderr


def test_unknown_runs_and_metrics_name_their_neighbours(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="weather", run_id="known-run", server=service.grpc, dir=spools)
    run.log({"train/loss": 1.0})
    run.finish()
    with pytest.raises(stepline.RunNotFound, match="known-run"):
        client.run("knwon-run").metrics()
    with pytest.raises(stepline.MetricNotFound, match="train/loss"):
        client.run("known-run").history("train/los")
    with pytest.raises(stepline.RunNotFound, match="known-run"):
        client.chart(runs=["known-run", "known-rum"], metrics=["train/loss"])
    for asked in (
        lambda: client.run("known-run").metrics(limit=-1),
        lambda: list(client.runs(offset=2**70)),
        lambda: client.run("\ud800"),
    ):
        with pytest.raises(stepline.InvalidRequest):
            asked()
    with pytest.raises(stepline.InvalidRequest):
        client.run("known-run").chart("train/loss", points=10**9)


def test_sql_cannot_write_or_read_files(client: stepline.Client) -> None:
    for query in (
        "DROP TABLE points",
        "INSERT INTO points SELECT * FROM points",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    ):
        with pytest.raises(stepline.SteplineError):
            client.sql(query)


def test_spools_of_a_dead_trainer_are_sent_by_the_next_run(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    script = (
        "import os, stepline\n"
        f"run = stepline.init(project='weather', run_id='dead', rank=0, server={service.grpc!r},"
        f" dir={str(spools)!r}, uploader='thread')\n"
        "from tests.support.oracle import METRICS, value\n"
        "for s in range(5000): run.log({m: value(0, s, i) for i, m in enumerate(METRICS)}, "
        "step=s)\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    stepline.init(project="weather", server=service.grpc, dir=spools).finish()
    wait_drained(spools)
    judge(client, "dead", 0, at_least=5_000, at_most=5_000)
