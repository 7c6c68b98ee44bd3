"""The size limit of a spool and its buffered mode, as users set them."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import stepline
from stepline import _core
from stepline.errors import InvalidRequest
from stepline.settings import DEFAULT_SPOOL_LIMIT, Settings
from tests.support.spool_file import read_spool

MIB = 1 << 20


@pytest.mark.parametrize(
    ("given", "bytes_"),
    [(0, 0), (5 * MIB, 5 * MIB), ("2GiB", 2 << 30), ("500 M", 500 * MIB), ("1T", 1 << 40)],
)
def test_a_limit_is_a_number_or_a_text(given: int | str, bytes_: int) -> None:
    assert Settings.resolve(spool_limit=given, environ={}).spool_limit == bytes_
    found = Settings.resolve(environ={"STEPLINE_SPOOL_LIMIT": str(given)})
    assert found.spool_limit == bytes_


def test_the_defaults_are_sane() -> None:
    settings = Settings.resolve(environ={})
    assert settings.spool_limit == DEFAULT_SPOOL_LIMIT
    assert (settings.spool_policy, settings.spool_write) == ("refuse", "auto")


@pytest.mark.parametrize("given", [-1, 1000, "2 apples", "", True, 1.5, 1 << 63])
def test_what_is_no_limit_is_refused(given: object) -> None:
    with pytest.raises(InvalidRequest, match="spool_limit"):
        Settings.resolve(spool_limit=given, environ={})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="drop_oldest"):
        Settings.resolve(spool_policy="drop_newest", environ={})


def writer(folder: Path, **options: object) -> _core.Writer:
    return _core.Writer(str(folder), json.dumps({"run_id": "r"}), **options)  # type: ignore[arg-type]


def fill(run: _core.Writer, steps: int) -> None:
    names = [f"m{i}" for i in range(50)]
    for step in range(steps):
        run.log(dict.fromkeys(names, float(step)))


def test_points_beyond_the_limit_are_refused_with_one_warning_and_counted(tmp_path: Path) -> None:
    run = writer(tmp_path, limit_bytes=MIB)
    with pytest.warns(RuntimeWarning, match="spool_limit") as said:
        fill(run, 5_000)
    assert len(said) == 1
    stats = run.stats()
    assert stats["points"] + stats["gaps"] == 5_000 * 50
    assert stats["gaps"] > 0


def test_the_oldest_points_are_dropped_with_one_warning_and_counted(tmp_path: Path) -> None:
    run = writer(tmp_path, limit_bytes=MIB, policy="drop_oldest")
    with pytest.warns(RuntimeWarning, match="deleted unsent") as said:
        fill(run, 5_000)
    assert len(said) == 1
    stats = run.stats()
    assert stats["points"] + stats["gaps"] == 5_000 * 50
    assert _core.spool_left(run.path) == stats["points"]
    assert run.last_seq() == 5_000


@pytest.mark.parametrize("array", [False, True])
def test_log_waits_until_there_is_room(tmp_path: Path, array: bool) -> None:
    run = writer(tmp_path, limit_bytes=MIB, policy="block", longest_wait=600.0)
    done = threading.Event()

    def log() -> None:
        if array:
            steps = np.arange(200_000, dtype=np.int64)
            run.log_array("a", steps, steps.astype(np.float64))
        else:
            fill(run, 5_000)
        done.set()

    def drain() -> None:
        """Takes the oldest segment away now and then, as a drainer does."""
        thread = threading.Thread(target=log)
        thread.start()
        while not done.is_set():
            segments = sorted(Path(run.path).glob("*.seg"))
            if len(segments) > 6:
                segments[0].unlink()
            time.sleep(0.001)
        thread.join()

    with pytest.warns(RuntimeWarning, match="waits") as said:
        drain()
    assert len(said) == 1
    assert run.stats()["gaps"] == 0
    assert run.stats()["points"] == (200_000 if array else 5_000 * 50)
    run.log({"after": 1.0})
    run.close()
    # An array leaves the counter of steps alone; a call that waits takes its step once.
    assert read_spool(run.path).rows()[-1][0] == (0 if array else 5_000)


def test_a_wait_in_vain_ends_and_the_next_calls_do_not_wait(tmp_path: Path) -> None:
    run = writer(tmp_path, limit_bytes=MIB, policy="block", longest_wait=0.05)
    with pytest.warns(RuntimeWarning, match=r"waits|not recorded"):
        fill(run, 5_000)
    assert run.stats()["points"] + run.stats()["gaps"] == 5_000 * 50


def test_buffered_mode_is_chosen_by_the_environment_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLINE_SPOOL_WRITE", "buffered")
    run = stepline.init(mode="offline", dir=tmp_path, uploader="thread")
    run.log({"a": 1.0})
    assert run.health().buffered
    (status,) = _core.spool_scan(str(tmp_path))
    assert status["write"] == "buffered"
    run.finish()
    monkeypatch.setenv("STEPLINE_SPOOL_WRITE", "sometimes")
    with pytest.raises(InvalidRequest, match="buffered"):
        stepline.init(mode="offline", dir=tmp_path)


def test_a_directory_that_is_deleted_is_made_anew_with_a_warning(tmp_path: Path) -> None:
    run = writer(tmp_path / "spools", segment_bytes=65_536)
    run.log({"a": 1.0})
    shutil.rmtree(tmp_path / "spools")
    with pytest.warns(RuntimeWarning, match="was deleted"):
        fill(run, 1_000)
    run.close()
    assert _core.spool_left(run.path) > 0


def test_a_directory_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(stepline.SpoolFailed, match="STEPLINE_DIR"):
        stepline.init(mode="offline", dir=tmp_path / "file" / "spools")
