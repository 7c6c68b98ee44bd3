"""A full disk under the store.

Scenario: the store lies on a small file system; while a spool is sent something else takes the last
of its room, and gives it back later.
Guarantees: the service stays alive, says what is wrong, acknowledges nothing that is not stored;
when there is room again the spool drains, and everything is stored exactly once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepline
from tests.fault.stage import rounds
from tests.support.faults import Faults
from tests.support.offline import fill, send
from tests.support.oracle import Oracle
from tests.support.processes import wait_until
from tests.support.service import Service

SIZE = "96m"
STEPS = 20_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "stepline-test", str(place)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def take_all_room(disk: Path) -> Path:
    """Writes until nothing more goes in."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        for piece in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while out.write(bytes(piece)) == piece:
                    pass
    return ballast


def test_the_spool_waits_until_there_is_room(
    small_disk: Path, tmp_path: Path, spools: Path
) -> None:
    faults = Faults(tmp_path / "faults")
    env = faults.env(store_patience=1.0, retry_max=0.5)
    oracle = Oracle()
    with Service(small_disk / "store", env=env, module="tests.support.faulty_service") as service:
        for number in rounds(short=1, share=0.02):
            run = f"full-disk-{number}"
            spool = fill(spools, run, STEPS)
            ballast = take_all_room(small_disk)
            wait_until(lambda spool=spool: _is_refused(spool, service), what="the store refuses")
            assert service.alive
            ballast.unlink()
            send(spool, service.grpc)
            oracle.logged(run, 0, returned=STEPS)
            with stepline.connect(service.grpc) as client:
                oracle.judge(client)


def _is_refused(spool: Path, service: Service) -> bool:
    from stepline import _core

    left = _core.drain(str(spool), server=service.grpc, timeout=2.0)
    assert left, "a spool was stored although there was no room"
    return service.alive and "space" in str(left).lower() + service.log_tail(200).lower()
