"""Promise: a spool on a mount that a server process stands behind (FUSE: bindfs passes on a local
directory) is gathered and written, survives SIGKILL but for the last moment, and goes on when the
server went away and came back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepline
from stepline import _core
from tests.support.processes import wait_until

pytestmark = pytest.mark.skipif(
    shutil.which("bindfs") is None or not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0,
    reason="needs bindfs, /dev/fuse and the right to mount",
)


class Mount:
    """A directory behind a server."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mount"
        self._behind = folder / "behind"
        for path in (self.path, self._behind):
            path.mkdir()
        self._server: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        self._server = subprocess.Popen(
            ["bindfs", "-f", "--no-allow-other", str(self._behind), str(self.path)]
        )
        wait_until(self.path.is_mount, what="the mount is there")

    def die(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    mount = Mount(tmp_path)
    mount.serve()
    yield mount
    mount.die()


def last_seq(path: Path) -> int:
    (spool,) = _core.spool_scan(str(path))
    assert spool["write"] == "buffered"
    return spool["last_seq"]


_TRAINER = """
import sys, stepline
run = stepline.init(project="p", mode="offline", dir=sys.argv[1])
for step in range(10**9):
    run.log({"a": step}, step=step)
    if step % 1000 == 0:
        print(step, flush=True)
"""


def test_a_kill_takes_only_the_last_moment(mount: Mount) -> None:
    began = time.monotonic()
    logged = []
    with subprocess.Popen(
        [sys.executable, "-c", _TRAINER, str(mount.path / "s")], stdout=subprocess.PIPE
    ) as trainer:
        assert trainer.stdout is not None
        for line in trainer.stdout:
            logged.append(int(line))
            if time.monotonic() - began > 1.0:
                trainer.kill()
    assert logged
    # at most 256 KiB wait in memory: rows of one value take 48 bytes
    assert last_seq(mount.path / "s") > logged[-1] - 6_000


def test_a_server_that_comes_back_gets_what_it_missed(mount: Mount) -> None:
    spools = mount.path / "s"
    with stepline.init(project="p", mode="offline", dir=spools) as run:
        assert run.health().buffered
        for step in range(2_000):
            run.log({"a": step}, step=step)
        mount.die()
        for step in range(2_000, 4_000):
            run.log({"a": step}, step=step)
        mount.serve()
        for step in range(4_000, 6_000):
            run.log({"a": step}, step=step)
        run.flush(durable=True)
        assert run.health().gaps == 0
    assert last_seq(spools) == 6_000
