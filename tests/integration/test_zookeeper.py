"""Promise: every table of a cluster is made as a replica in a real ZooKeeper, and a second replica
that joins agrees with it about every column.

`make test-zookeeper` runs it, where Debian's package `zookeeper` and Java are installed. This far
the embedded engine carries a replica and no further: it has no port on which replicas speak to each
other, so none becomes active, and the tables refuse ALTER and, after its retries, INSERT. The test
says so, to be noticed when it changes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT, wait_until

JARS = Path("/usr/share/java")
NEEDED = ("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-log4j12", "log4j-1.2", "commons-cli")
NO_PORT = "Parameter 'interserver_http(s)_port' required for replication is not specified"

pytestmark = [
    pytest.mark.zookeeper,
    pytest.mark.skipif("STEPLINE_TEST_ZOOKEEPER" not in os.environ, reason="make test-zookeeper"),
]


def is_well(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(b"ruok")
            return asked.recv(4) == b"imok"
    except OSError:
        return False


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[int]:
    """The port of a server that lives as long as the test."""
    java = shutil.which("java")
    assert java is not None, "install Java and zookeeper (Debian: apt-get install zookeeper)"
    assert (JARS / "zookeeper.jar").exists(), "Debian: apt-get install zookeeper"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "zoo.cfg"
    config.write_text(
        f"tickTime=2000\ndataDir={tmp_path / 'zookeeper'}\nclientPort={port}\n"
        "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n"
    )
    jars = [str(JARS / f"{name}.jar") for name in NEEDED]
    jars += [str(jar) for pattern in ("netty*", "jackson*") for jar in JARS.glob(f"{pattern}.jar")]
    arguments = ("-Xmx256m", "-cp", ":".join(jars))
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    with (tmp_path / "zookeeper.log").open("wb") as log:
        server = subprocess.Popen([java, *arguments, main, str(config)], stdout=log, stderr=log)
    try:
        wait_until(lambda: is_well(port), what="ZooKeeper answers")
        yield port
    finally:
        server.kill()
        server.wait()


def replica(folder: Path, name: str, port: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.replica", str(folder / name), name, str(port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_two_replicas_agree_about_every_table(tmp_path: Path, zookeeper: int) -> None:
    one, two = (replica(tmp_path, name, zookeeper) for name in ("one", "two"))
    tables = [name for name, engine in one["tables"]]
    assert {"raw_points", "raw_layers", "raw_cells", "raw_keys"} <= set(tables)
    assert all(engine.startswith("Replicated") for _, engine in one["tables"])
    assert (one["tables"], one["columns"]) == (two["tables"], two["columns"])
    assert [name for name, _, _ in two["replicas"]] == tables
    assert {total for _, _, total in two["replicas"]} == {2}, "each is known to ZooKeeper"
    assert {readonly for _, readonly, _ in two["replicas"]} == {1}
    assert any(NO_PORT in error for error in two["errors"])
