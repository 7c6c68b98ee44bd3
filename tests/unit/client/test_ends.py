"""Every way in which a training process can end, each with a real one: nothing that was logged is
lost, and the exit code is told where the process still can.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepline import _core
from tests.support.ends import CALLS
from tests.support.processes import ROOT
from tests.support.spool_file import Contents, read_spool

UNHARMED = [(step, {"loss": step / 2, "lr": 0.1}) for step in range(CALLS)]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def end(name: str, folder: Path, server: str = "127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.ends", name, str(folder), server],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def spools(folder: Path) -> list[Contents]:
    return [read_spool(status["path"]) for status in _core.spool_scan(str(folder))]


def told(contents: Contents) -> list[int]:
    """The exit codes in a spool."""
    return [c["finish"]["exit_code"] for c in contents.controls if "finish" in c]


@pytest.mark.parametrize(
    ("name", "returned", "exit_code"),
    [
        ("normal_exit", 0, 0),
        ("sys_exit", 3, 3),
        ("caught_sys_exit", 0, 0),
        ("exception", 1, 1),
        ("interrupt", -signal.SIGINT, 130),
        ("terminate_with_a_handler", 143, 143),
    ],
)
def test_a_run_that_nobody_finished_tells_how_the_program_ended(
    tmp_path: Path, name: str, returned: int, exit_code: int
) -> None:
    done = end(name, tmp_path)
    assert done.returncode == returned, done.stderr
    (contents,) = spools(tmp_path)
    assert contents.rows() == UNHARMED
    assert told(contents) == [exit_code]


@pytest.mark.parametrize("name", ["sys_exit_in_a_thread", "exception_in_a_thread"])
def test_a_thread_that_ends_does_not_end_the_run(tmp_path: Path, name: str) -> None:
    done = end(name, tmp_path)
    assert done.returncode == 0, done.stderr
    (contents,) = spools(tmp_path)
    assert len(contents.rows()) == 2 * CALLS
    assert told(contents) == [0]


@pytest.mark.parametrize(
    ("name", "returned"),
    [("terminate", -signal.SIGTERM), ("abrupt", 5), ("kill", -signal.SIGKILL)],
)
def test_a_process_that_cannot_say_a_word_loses_nothing(
    tmp_path: Path, name: str, returned: int
) -> None:
    done = end(name, tmp_path)
    assert done.returncode == returned, done.stderr
    (status,) = _core.spool_scan(str(tmp_path))
    assert not status["alive"]
    contents = read_spool(status["path"])
    assert contents.rows() == UNHARMED
    assert told(contents) == []


@pytest.mark.parametrize("name", ["unreachable", "many_unreachable"])
def test_the_end_of_a_program_does_not_wait_for_a_service_that_is_not_there(
    tmp_path: Path, nobody: str, name: str
) -> None:
    done = end(name, tmp_path, nobody)
    assert done.returncode == 0, done.stderr
    assert all(contents.rows() == UNHARMED for contents in spools(tmp_path))
    # The box of each run at its start, a line of each at its end.
    assert done.stderr.count(f"no service at {nobody}") == len(spools(tmp_path))
    assert done.stderr.count(f"{2 * CALLS} left") == len(spools(tmp_path))


def test_ctrl_c_ends_the_waiting_of_finish_and_the_report_is_there(
    tmp_path: Path, nobody: str
) -> None:
    done = end("interrupted_finish", tmp_path, nobody)
    assert done.returncode == 0, done.stderr
    assert f"interrupted {2 * CALLS}" in done.stdout
    (contents,) = spools(tmp_path)
    assert told(contents) == [0]
    assert contents.rows() == UNHARMED


@pytest.mark.parametrize("name", ["fork_workers", "spawn_workers", "forkserver_workers"])
def test_workers_log_to_spools_of_their_own(tmp_path: Path, name: str) -> None:
    done = end(name, tmp_path)
    assert done.returncode == 0, done.stderr
    found = spools(tmp_path)
    assert len(found) == 3, "a worker that logs nothing leaves nothing"
    (main,) = [contents for contents in found if told(contents)]
    assert main.rows() == UNHARMED
    assert told(main) == [7], "only the process that began the run tells its end"
    workers = [contents.rows() for contents in found if contents is not main]
    assert sorted(workers, key=str) == [
        [(step, {f"worker{k}": float(step)}) for step in range(CALLS)] for k in (1, 3)
    ]
    runs = {(s["run_id"], s["project"], s["rank"]) for s in _core.spool_scan(str(tmp_path))}
    assert runs == {("ends", "default", 0)}


def test_a_fork_while_threads_log_does_not_hang_the_child(tmp_path: Path) -> None:
    done = end("fork_while_threads_log", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "all children ended" in done.stdout
    children = [c.rows() for c in spools(tmp_path) if not told(c)]
    assert sorted(children) == [[(k, {"child": float(k)})] for k in range(30)]
