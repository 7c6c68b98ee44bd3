"""SIGKILL of a training process whose threads all log.

Scenario: eight threads log to one run without a pause, with values and segments small enough that
kills hit every part of an append; the process is killed at a random moment. Guarantees: of each
thread every call that returned is in the spool exactly once, whole, in the thread's order and with
its value; at most the call that the kill interrupted is there as well.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from stepline import _core
from tests.fault.stage import rounds
from tests.support.processes import ROOT
from tests.support.spool_file import read_spool
from tests.support.threads_trainer import THREADS, name, value


@pytest.fixture
def trainers(tmp_path: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.support.threads_trainer", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def judge(spool: Path, returned: list[int]) -> int:
    """Checks one spool; returns how many calls are in it."""
    found = read_spool(spool).rows()
    steps: list[list[int]] = [[] for _ in range(THREADS)]
    for step, row in found:
        own = next(k for k in range(THREADS) if name(k) in row)
        rest = {"shared": 1.0} if step % 16 else {"a/b": 1.0}
        assert row == {name(own): value(own, step), **rest}, "a call was torn apart"
        steps[own].append(step)
    for thread, mine in enumerate(steps):
        assert mine == list(range(len(mine))), f"thread {thread}: lost, doubled or out of order"
        assert returned[thread] <= len(mine) <= returned[thread] + 1, (
            f"thread {thread}: {len(mine)} calls recorded, {returned[thread]} returned"
        )
    points = sum(len(row) for _, row in found)
    assert _core.spool_left(str(spool)) == points, "the uploader would read something else"
    return len(found)


def test_no_thread_loses_a_call(
    tmp_path: Path, trainers: tuple[IO[str], IO[str]], chance: random.Random
) -> None:
    orders, answers = trainers
    calls = 0
    for _ in rounds(20):
        orders.write(f"{chance.uniform(0.0, chance.choice([0.001, 0.005]))}\n")
        orders.flush()
        path, *counts = answers.readline().split()
        calls += judge(Path(path), [int(count) for count in counts])
        shutil.rmtree(path)
    assert calls > 0
    print(f"{calls} calls")
