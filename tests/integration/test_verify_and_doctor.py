"""Promise: `stepline verify` says whether what was logged is stored, from checksums that the client
and the real store compute apart; `stepline doctor` judges the store of a running service."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepline
from stepline.cli import main
from tests.support.service import Service
from tests.support.spool_file import change_value


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def logged(spools: Path, run_id: str, server: str) -> Path:
    """An offline run with everything that a value can be. Returns its spool."""
    run = stepline.init(project="verify", run_id=run_id, mode="offline", dir=spools, server=server)
    values = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1e308, 0.1]
    for step in range(2_000):
        run.log({"größe/x": values[step % 8], "b": step}, step=step * 7 - 5_000)
    run.log({"wide": {f"m{i}": i for i in range(300)}})
    steps = np.array([2**63 - 1, -(2**63), *range(30_000)], dtype=np.int64)
    run.log_array("bulk", steps, steps.astype(np.float64))
    run.finish()
    (spool,) = (path for path in spools.iterdir() if path.name != "uploader.log" and path.is_dir())
    return spool


def verify(*args: str, output: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    output.readouterr()
    code = main(["verify", *args, "--json"])
    captured = output.readouterr()
    return code, json.loads(captured.out or "[]")


def test_a_spool_before_and_after_it_is_sent(
    service: Service, spools: Path, tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    spool = logged(spools, "verified", service.grpc)
    copy = shutil.copytree(spool, tmp_path / "copy" / spool.name)
    code, (before,) = verify(str(spools), output=output)
    assert (code, before["outcome"], before["unsent"]) == (1, "incomplete", 2_001 + 30_002)
    assert main(["sync", str(spool)]) == 0
    assert not spool.exists()

    code, (after,) = verify(str(copy), output=output)
    assert (code, after["outcome"], after["unsent"]) == (0, "equal", 0)
    assert (after["compared"], after["points"]) == (2_001 + 30_002, 4_300 + 30_002)

    asked = ("--run", "verified", "--server", service.grpc)
    code, (drained,) = verify(str(spools), *asked, output=output)
    assert (code, drained["outcome"], drained["compared"]) == (0, "equal", 2_001 + 30_002)
    code, (counted,) = verify(str(tmp_path), *asked, output=output)
    assert (code, counted["outcome"], counted["freed"]) == (0, "counted", 2_001 + 30_002)

    change_value(copy, 1_717, index=0)
    code, (changed,) = verify(str(tmp_path / "copy"), output=output)
    assert (code, changed["outcome"]) == (1, "different")
    (difference,) = changed["differences"]
    assert (difference["first_seq"], difference["metrics"]) == (1_717, ["größe/x"])
    assert main(["verify", str(copy)]) == 1
    assert "sequence 1717 (größe/x) has other contents" in output.readouterr().out


def test_a_copy_that_is_sent_as_well_changes_nothing(
    service: Service, spools: Path, tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    spool = logged(spools, "copied", service.grpc)
    for name in ("one", "two"):
        shutil.copytree(spool, tmp_path / name / spool.name)
    for directory in (tmp_path / "one", spools, tmp_path / "two"):
        assert main(["sync", str(directory)]) == 0
    code, (found,) = verify("--run", "copied", "--server", service.grpc, output=output)
    assert (code, found["outcome"]) == (0, "counted")
    assert main(["doctor", "--server", service.grpc]) == 0
    assert "nothing is wrong" in output.readouterr().out


def test_what_cannot_be_checked_exits_with_2(
    spools: Path, service: Service, output: pytest.CaptureFixture[str]
) -> None:
    logged(spools, "alone", "127.0.0.1:1")
    code, (found,) = verify(str(spools), output=output)
    assert (code, found["outcome"]) == (2, "unknown")
    assert "No Stepline service answers at 127.0.0.1:1" in found["notes"][0]
    assert verify("--run", "no-such-run", "--server", service.grpc, output=output)[0] == 2
    assert main(["doctor", "--server", "127.0.0.1:1"]) == 2
    assert main(["doctor", "--data", str(spools)]) == 2


def test_the_doctor_judges_a_service_that_runs_and_its_directory_when_it_is_stopped(
    tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    with Service(tmp_path / "store") as service:
        run = stepline.init(
            project="p", server=service.grpc, dir=tmp_path / "spools", uploader="thread"
        )
        run.log({"a": 1.0})
        run.finish()
        assert main(["doctor", "--server", service.grpc, "--json"]) == 0
        live = json.loads(output.readouterr().out)
        assert (live["clean"], live["points"], live["runs"], live["writers"]) == (True, 1, 1, 1)
        assert main(["doctor", "--data", str(service.data)]) == 2
        said = output.readouterr().err
        assert "is in use by process" in said
        assert "stepline doctor --server" in said
        assert main(["expire", "--data", str(service.data), "--keep-points", "90d"]) == 1
        assert "stepline expire --server" in output.readouterr().err
        service.terminate()
        assert main(["doctor", "--data", str(service.data), "--json"]) == 0
        assert json.loads(output.readouterr().out) == live
