"""The uploader process: started when it is missing, once, and outliving who started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepline import _core, uploader
from stepline.delivery import ByProcess, ByThread, NoDelivery
from stepline.pulse import Pulse
from stepline.writers import NullWriter


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roots that a process was started for; none really is."""
    roots: list[str] = []

    def spawn(root: str) -> int:
        roots.append(root)
        return 4_000_000 + len(roots)  # no child of ours

    monkeypatch.setattr(uploader, "_spawn", spawn)
    monkeypatch.setattr(uploader, "_started", {})
    return roots


def test_one_that_lives_is_left_alone(
    started: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_core, "uploader_alive", lambda root: True)
    uploader.ensure_running(str(tmp_path))
    assert started == []


def test_a_missing_one_is_started_and_a_dead_one_again(started: list[str], tmp_path: Path) -> None:
    uploader.ensure_running(str(tmp_path))
    uploader.ensure_running(str(tmp_path))
    assert started == [str(tmp_path)] * 2


def test_one_that_is_still_starting_is_given_time(
    started: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(uploader, "_reap", lambda pid: False)
    uploader.ensure_running(str(tmp_path))
    uploader.ensure_running(str(tmp_path))
    assert started == [str(tmp_path)]


def test_a_real_one_ends_when_nothing_is_left_and_keeps_a_log(tmp_path: Path) -> None:
    process = uploader._spawn(str(tmp_path))
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / uploader.LOG_NAME).exists()


def test_without_a_directory_it_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert uploader.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_process_that_sends_needs_no_numpy() -> None:
    code = (
        "import stepline.uploader, sys; sys.exit('numpy' in sys.modules or 'rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_who_delivers_by_process_looks_after_the_root(started: list[str], tmp_path: Path) -> None:
    ByProcess(str(tmp_path)).tend(str(tmp_path / "a spool"))
    assert started == [str(tmp_path)]


def test_a_thread_is_started_once_for_each_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    stopped: list[float] = []

    class Thread:
        def __init__(self, spool: str) -> None:
            made.append(spool)

        def stop(self, timeout: float) -> bool:
            stopped.append(timeout)
            return True

    monkeypatch.setattr(_core, "UploaderThread", Thread)
    delivery = ByThread()
    delivery.tend("/a")
    delivery.tend("/a")
    assert made == ["/a"]
    delivery.stop()
    delivery.stop()
    assert len(stopped) == 1


def test_after_a_fork_the_child_starts_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(_core, "UploaderThread", lambda spool: made.append(spool))
    delivery = ByThread()
    delivery.tend("/parent")
    delivery._pid -= 1  # as in a child: the process id is another one
    delivery.tend("")  # the child has no spool before its first record
    delivery.tend("/child")
    assert made == ["/parent", "/child"]


def test_trouble_with_the_uploader_is_said_once_and_never_raised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken(NoDelivery):
        def tend(self, spool: str) -> None:
            raise OSError("no more processes")

    pulse = Pulse(Broken())
    pulse.attach(NullWriter())
    pulse()
    pulse()
    said = capsys.readouterr().err
    assert said.count("no more processes") == 1
