"""What a process prints is kept in lines, in their last state, and printing goes on as before."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline.console import chosen, fold, recorder, tap
from stepline.console.fold import Fold, Line
from stepline.console.recorder import Recorder
from stepline.errors import InvalidRequest
from tests.support.spool_file import read_spool


class Screen:
    """What a fold keeps."""

    def __init__(self) -> None:
        self.states: list[tuple[int, str, bool]] = []
        self._count = 0
        self.fold = Fold(self._next, self._keep)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _keep(self, line: Line, is_open: bool) -> None:
        self.states.append((line.number, line.text, is_open))

    def lines(self) -> list[str]:
        last = {number: text for number, text, _ in self.states}
        return [last[number] for number in sorted(last)]


def folded(*texts: str) -> list[str]:
    screen = Screen()
    for text in texts:
        screen.fold.feed(text)
    screen.fold.flush(ends=True)
    assert not any(is_open for _, _, is_open in {s[0]: s for s in screen.states}.values())
    return screen.lines()


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["one\ntwo\n"], ["one", "two"]),
        (["a", " ", "b", "\n"], ["a b"]),
        (["no end"], ["no end"]),
        (["\n\nx\n"], ["", "", "x"]),
        (["windows\r\nends\r\n"], ["windows", "ends"]),
        (["\r 10%", "\r 50%", "\r100%\n", "done\n"], ["100%", "done"]),
        (["long text\rshort\n"], ["shorttext"]),
        (["long text\r\x1b[Kshort\n"], ["short"]),
        (["long text\x1b[2K\rnew\n"], ["new"]),
        (["abc\x08\x08X\n"], ["aXc"]),
        (["\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\n"], ["red text"]),
        (["\x00\x07bell\ttab\n"], ["bell\ttab"]),
        # two bars, as tqdm writes them: down, back to the beginning, the bar, up again
        (
            ["\router 0", "\n\rinner 0\x1b[A", "\n\rinner 9\x1b[A", "\router 1", "\n\n"],
            ["outer 1", "inner 9"],
        ),
        (["größe \U0001f600\n"], ["größe \U0001f600"]),
    ],
)
def test_lines_are_what_a_terminal_shows_in_the_end(texts: list[str], lines: list[str]) -> None:
    assert folded(*texts) == lines
    assert folded(*"".join(texts)) == lines or "\x1b" in "".join(texts)


def test_a_progress_bar_is_kept_now_and_then_and_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(fold.time, "monotonic", lambda: now[0])
    screen = Screen()
    for step in range(100):
        now[0] += 0.1
        screen.fold.feed(f"\r{step}%")
    screen.fold.feed("\r100%\n")
    assert 2 <= len(screen.states) <= 5
    assert screen.states[-1] == (1, "100%", False)


def test_a_long_line_is_cut_and_says_so() -> None:
    screen = Screen()
    screen.fold.feed("x" * 50_000)
    screen.fold.feed("y" * 50_000 + "\n")
    ((_, text, _),) = screen.states
    assert text == "x" * fold.LONGEST


# --- recording ------------------------------------------------------------------------------------


def records(found: list[str]) -> list[tuple[int, str]]:
    import json

    lines = [json.loads(text)["console"] for text in found]
    return [(line["stream"], line["text"]) for line in lines]


def test_more_than_a_process_may_print_is_left_out_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    found: list[str] = []
    kept = Recorder(found.append)
    for number in range(recorder.BURST_LINES + 7):
        kept.write(recorder.OUT, f"line {number}\n")
    now[0] += 1
    kept.write(recorder.OUT, "after\n")
    kept.close()
    *_, (note, said), last = records(found)
    assert (note, said.startswith("[stepline: 7 lines with ")) == (recorder.NOTE, True)
    assert (last, len(found)) == ((recorder.OUT, "after"), recorder.BURST_LINES + 2)


def test_a_recording_that_prints_does_not_go_round_in_circles() -> None:
    found: list[str] = []

    def control(record: str) -> None:
        if len(found) < 3:
            kept.write(recorder.ERR, "from within\n")
        found.append(record)

    kept = Recorder(control)
    kept.write(recorder.OUT, "hello\n")
    assert sorted(records(found)) == [(1, "hello"), *[(2, "from within")] * 3]


def test_a_full_disk_is_a_note_and_no_error() -> None:
    found: list[str] = []
    full = [True]

    def control(record: str) -> None:
        if full[0]:
            raise OSError("no space")
        found.append(record)

    kept = Recorder(control)
    kept.write(recorder.OUT, "lost\n")
    full[0] = False
    kept.write(recorder.OUT, "kept\n")
    assert [text[:17] for _, text in records(found)] == ["[stepline: 1 line", "kept"]


def test_threads_that_print_at_once_lose_no_line() -> None:
    found: list[str] = []
    kept = Recorder(found.append)

    def work(number: int) -> None:
        for line in range(200):
            kept.write(recorder.OUT, f"{number} {line}\n")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.close()
    assert sorted(text for _, text in records(found)) == sorted(
        f"{n} {line}" for n in range(8) for line in range(200)
    )


# --- a run ----------------------------------------------------------------------------------------


def own_streams(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Streams that are ours alone: the test runner puts its own there before each test."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


def printed(run: stepline.Run) -> list[tuple[int, str]]:
    assert run.spool is not None
    controls = [control for control in read_spool(run.spool).controls if "console" in control]
    last = {control["console"]["line"]: control["console"] for control in controls}
    return [(line["stream"], line["text"]) for line in last.values()]


def start(folder: Path, **options: Any) -> stepline.Run:
    return stepline.init(mode="offline", dir=folder, **{"console": True, **options})


def test_prints_loggers_and_bars_are_heard_and_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = own_streams(monkeypatch)
    logger = logging.getLogger("test_console")
    logger.addHandler(logging.StreamHandler(err))  # which holds the stream itself
    with start(tmp_path) as run:
        print("hello", 1, sep="-")
        logger.warning("careful")
        print("10%", end="\r", file=err)
        print("99%", end="\r", file=err)
    logger.handlers.clear()
    found = printed(run)
    assert [text for stream, text in found if stream == 1] == ["hello-1"]
    assert [
        text for stream, text in found if stream == 2 and not text.startswith("stepline: run")
    ] == ["careful", "99%"]
    out.flush()
    assert out.buffer.getvalue() == b"hello-1\n"


def test_after_the_end_streams_are_what_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = own_streams(monkeypatch)
    write = out.write
    with start(tmp_path) as run, start(tmp_path) as other:
        print("both")
        other.finish()
        print("one")
    assert out.write == write
    assert "write" not in vars(out)
    assert (tap._taps, tap._recorders) == ([], [])
    assert [text for stream, text in printed(run) if stream == 1] == ["both", "one"]
    assert [text for stream, text in printed(other) if stream == 1] == ["both"]


def test_only_who_asks_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_streams(monkeypatch)
    runs = [
        start(tmp_path, console=False),
        start(tmp_path, console=None),
        start(tmp_path, console="rank0", rank=1, world_size=2),
    ]
    print("nothing")
    assert [printed(run) for run in runs] == [[], [], []]
    assert chosen(True) == "all"
    with pytest.raises(InvalidRequest, match="console='some' is unknown"):
        start(tmp_path, console="some")


def test_what_was_printed_survives_a_sigkill(tmp_path: Path) -> None:
    script = (
        "import os, signal, stepline\n"
        f"run = stepline.init(mode='offline', dir={str(tmp_path)!r}, console=True)\n"
        "print('last words')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    (spool,) = (path.parent for path in tmp_path.glob("*/spool.json"))
    assert "last words" in [
        control["console"]["text"] for control in read_spool(spool).controls if "console" in control
    ]


def test_a_forked_child_prints_into_a_spool_of_its_own(tmp_path: Path) -> None:
    script = (
        "import os, sys, stepline\n"
        f"run = stepline.init(mode='offline', dir={str(tmp_path)!r}, console=True)\n"
        "print('begun', end='')\n"
        "if os.fork() == 0:\n"
        "    print(' child')\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(' parent')\n"
        "run.finish()\n"
    )
    subprocess.run([sys.executable, "-u", "-c", script], check=True, capture_output=True)
    found = sorted(
        [
            control["console"]["text"]
            for control in read_spool(path.parent).controls
            if "console" in control and control["console"]["stream"] == 1
        ]
        for path in tmp_path.glob("*/spool.json")
    )
    assert found == [[" child"], ["begun parent"]]


def test_the_traceback_of_the_end_is_heard(tmp_path: Path) -> None:
    script = (
        "import stepline\n"
        f"run = stepline.init(mode='offline', dir={str(tmp_path)!r}, console=True)\n"
        "raise ValueError('boom')\n"
    )
    environment = {**os.environ, "STEPLINE_CAPTURE": "none"}
    subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)
    (spool,) = (path.parent for path in tmp_path.glob("*/spool.json"))
    texts = [
        control["console"]["text"] for control in read_spool(spool).controls if "console" in control
    ]
    assert "ValueError: boom" in texts
