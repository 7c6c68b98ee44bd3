"""Promise: `stepline sync` may be killed, repeated, run on a copy and beside an uploader; each
point is stored once, nothing is deleted that is not stored, and what is lost is named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepline
from stepline import _core
from stepline.cli import main
from tests.support.processes import ROOT, wait_until
from tests.support.service import Service


def sync(*args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stepline.cli", "sync", *args]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def offline(spools: Path, run_id: str, server: str, *, rows: int, segment: int = 65_536) -> Path:
    """A finished offline spool of many small segments: rows of two metrics, then an array."""
    spools.mkdir(parents=True, exist_ok=True)
    meta = {"run_id": run_id, "project": "sync", "server": server, "mode": "offline"}
    meta |= {"launch_id": run_id, "world_size": 1, "config_json": "{}", "resume": "allow"}
    writer = _core.Writer(str(spools), json.dumps(meta), segment_bytes=segment)
    for step in range(rows):
        writer.log({"a": step / 3, "b": -step}, step=step)
    steps = np.arange(1_000, dtype=np.int64)
    writer.log_array("c", steps, steps / 7)
    writer.close()
    return Path(writer.path)


def verified(copy: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    main(["verify", str(copy), "--json"])
    (found,) = json.loads(capsys.readouterr().out)
    return dict(found)


def test_a_killed_sync_goes_on_where_it_was(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = offline(tmp_path / "spools", "killed-sync", service.grpc, rows=150_000)
    copy = shutil.copytree(spool, tmp_path / "copy" / spool.name)
    child = sync(str(spool))
    wait_until(
        lambda: not spool.exists() or (_core.spool_status(str(spool)) or {})["acked_seq"] > 0,
        what="some of it is stored",
    )
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert main(["sync", str(spool)]) == 0
    assert not spool.exists()
    found = verified(copy, capsys)
    assert (found["outcome"], found["points"]) == ("equal", 301_000)
    assert main(["sync", str(spool)]) == 0, "a second time there is nothing to do"


def test_two_copies_sent_at_the_same_time_do_not_fight_for_ever(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = offline(tmp_path / "one", "two-copies", service.grpc, rows=60_000)
    other = Path(shutil.copytree(spool, tmp_path / "two" / spool.name))
    kept = shutil.copytree(spool, tmp_path / "kept" / spool.name)
    children = [sync(str(path)) for path in (spool, other)]
    for child in children:
        child.communicate(timeout=120)
    for path in (spool, other):
        assert main(["sync", str(path)]) == 0
    assert not spool.exists()
    assert not other.exists()
    found = verified(kept, capsys)
    assert (found["outcome"], found["points"], found["rejected"]) == ("equal", 121_000, [])


def test_a_live_run_and_a_copy_of_it(
    service: Service, tmp_path: Path, client: stepline.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    spools = tmp_path / "spools"
    run = stepline.init(project="sync", server=service.grpc, dir=spools, uploader="thread")
    over = threading.Event()

    def log() -> None:
        step = 0
        while not over.is_set():
            run.log({"a": step}, step=step)
            step += 1
            over.wait(0.0002)

    logging = threading.Thread(target=log)
    logging.start()
    try:
        wait_until(lambda: run.health().logged > 1_000, what="points are logged")
        (live,) = (path for path in spools.iterdir() if len(path.name) == 32)
        copy = Path(shutil.copytree(live, tmp_path / "copy" / live.name))
        # Beside the uploader of the run, and from the copy: neither ends badly.
        assert main(["sync", str(spools), "--timeout", "20"]) in (0, 1)
        assert main(["sync", str(copy)]) in (0, 1)
    finally:
        over.set()
        logging.join()
    logged = run.health().logged
    run.finish()
    main(["sync", str(spools)])
    steps = client.run(run.id).history("a").step
    np.testing.assert_array_equal(steps, np.arange(logged))


def test_a_damaged_segment_is_named_with_what_is_lost(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = offline(tmp_path / "spools", "damaged-sync", service.grpc, rows=5_000)
    segment = spool / "00000002.seg"
    data = bytearray(segment.read_bytes())
    data[2_000] ^= 4
    segment.write_bytes(data)
    copy = shutil.copytree(spool, tmp_path / "copy" / spool.name)
    lost = _core.spool_digests(str(spool), 1, 6_000, 6_000)["lost"]
    capsys.readouterr()
    assert main(["sync", str(spool), "--json"]) == 1
    (sent,) = json.loads(capsys.readouterr().out)
    assert sent["outcome"] == "damaged"
    assert [tuple(r) for r in sent["lost"]] == lost
    (kept,) = sent["damaged"]
    assert Path(kept).is_file()
    assert not spool.exists()
    found = verified(copy, capsys)
    assert found["outcome"] == "equal", "all that can be read is stored"
    assert [(a, b) for a, b, _ in found["rejected"]] == lost


def test_nothing_is_deleted_that_is_not_stored(tmp_path: Path) -> None:
    spool = offline(tmp_path / "spools", "unreachable", "127.0.0.1:1", rows=100)
    before = sorted((path.name, path.stat().st_size) for path in spool.glob("*.seg"))
    assert main(["sync", str(spool), "--timeout", "0.5"]) == 1
    assert sorted((path.name, path.stat().st_size) for path in spool.glob("*.seg")) == before
    assert os.path.exists(spool / "spool.json")
