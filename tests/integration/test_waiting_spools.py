"""Promise: who trained before a service was ever started loses nothing: the next `stepline serve`
takes in what waits for it on this host, and nothing else."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import stepline
from stepline import _core
from stepline_ingest.waiting import is_meant
from tests.support.processes import ROOT, wait_until
from tests.support.service import Service

TRAIN = """
import os, sys, stepline
run = stepline.init(project="laptop", run_id=sys.argv[2], server=sys.argv[1], dir=sys.argv[3],
                    mode=sys.argv[4], uploader="thread")
for step in range(500):
    run.log({"loss": 1 / (step + 1)}, step=step)
run.finish(timeout=0)
os._exit(0)
"""


def train(server: str, run_id: str, spools: Path, mode: str = "online") -> None:
    subprocess.run(
        [sys.executable, "-c", TRAIN, server, run_id, str(spools), mode],
        cwd=ROOT,
        check=True,
        timeout=120,
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def waiting(spools: Path) -> set[str]:
    return {spool["run_id"] for spool in _core.spool_scan(str(spools))}


def test_serve_takes_in_what_was_meant_for_it(tmp_path: Path) -> None:
    spools, port = tmp_path / "spools", free_port()
    train(f"127.0.0.1:{port}", "mine", spools)
    train(f"localhost:{port}", "mine-too", spools)
    train("127.0.0.1:1", "elsewhere", spools)
    train(f"127.0.0.1:{port}", "offline", spools, "offline")
    everything = {"mine", "mine-too", "elsewhere", "offline"}
    assert waiting(spools) == everything
    environment = {"STEPLINE_DIR": str(spools)}
    with Service(tmp_path / "a", "--no-sync", grpc_port=port, env=environment):
        pass
    assert waiting(spools) == everything, "--no-sync leaves them alone"
    with Service(tmp_path / "b", grpc_port=port, env=environment) as service:
        wait_until(
            lambda: waiting(spools) == {"elsewhere", "offline"}, what="the spools are taken in"
        )
        with stepline.connect(service.grpc) as client:
            for run_id in ("mine", "mine-too"):
                assert len(client.run(run_id).history("loss").step) == 500
                assert client.run(run_id).info.state == "finished"
        wait_until(lambda: "took in" in service.log.read_text(), what="the log says so")
        said = service.log.read_text()
        assert "taking in 2 spools" in said
        assert "1000 calls" in said
        assert "1 offline spools" in said


@pytest.mark.parametrize(
    ("server", "host", "meant"),
    [
        ("127.0.0.1:7424", "127.0.0.1", True),
        ("localhost:7424", "127.0.0.1", True),
        ("http://127.0.0.1:7424/", "localhost", True),
        ("[::1]:7424", "0.0.0.0", True),
        ("127.0.0.1:7425", "127.0.0.1", False),
        ("10.0.0.5:7424", "127.0.0.1", False),
        ("10.0.0.5:7424", "10.0.0.5", True),
        ("127.0.0.1:7424", "10.0.0.5", False),
        ("gpu.example:7424", "0.0.0.0", False),
        (f"{socket.gethostname()}:7424", "0.0.0.0", True),
        (f"{socket.gethostname()}:7424", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("nonsense", "127.0.0.1", False),
    ],
)
def test_which_spools_are_meant_for_a_service(server: str, host: str, meant: bool) -> None:
    assert is_meant(server, host, 7424) is meant
