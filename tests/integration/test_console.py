"""What a run prints is read back through the whole chain, once, whoever dies on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import stepline
from stepline import uploader
from stepline.cli import main
from stepline.console.recorder import OUT, Recorder
from tests.support.processes import wait_until
from tests.support.service import Service


def start(service: Service, folder: Path) -> tuple[stepline.Run, Recorder]:
    """A run, and a recorder of it as `init(console=True)` makes one: the test runner owns the
    streams of this process."""
    run = stepline.init(project="console", server=service.grpc, dir=folder)
    return run, Recorder(run._writer.control)


def texts(client: stepline.Client, run_id: str, **asked: int) -> list[str]:
    return [line.text for line in client.run(run_id).console(**asked)]


def test_lines_come_back_in_their_last_state(
    service: Service,
    client: stepline.Client,
    spools: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, recorder = start(service, spools)
    for number in range(2_500):
        recorder.write(OUT, f"line {number}\n")
        if number % 500 == 0:
            run.log({"a": number})
    recorder.write(OUT, "\r10%")
    recorder.write(OUT, "\r99%\n")
    recorder.close()
    assert run.finish().left == 0
    assert texts(client, run.id) == [*(f"line {number}" for number in range(2_500)), "99%"]
    assert texts(client, run.id, tail=2) == ["line 2499", "99%"]
    assert len(client.run(run.id).history("a")) == 5
    capsys.readouterr()
    assert main(["logs", run.id, "--server", service.grpc, "--tail", "2"]) == 0
    assert capsys.readouterr().out == "line 2499\n99%\n"


def test_a_killed_uploader_neither_loses_nor_doubles_lines(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run, recorder = start(service, spools)
    for number in range(300):
        recorder.write(OUT, f"line {number}\n")
        if number % 100 == 50:
            run._pulse()
            wait_until(lambda: str(spools) in uploader._started, what="an uploader")
            os.kill(uploader._started[str(spools)][0], signal.SIGKILL)
    recorder.close()
    run.finish(timeout=60)
    assert texts(client, run.id) == [f"line {number}" for number in range(300)]
    count = client.sql(f"SELECT count() FROM console WHERE run = '{run.id}'").rows
    assert count == [(300,)]
