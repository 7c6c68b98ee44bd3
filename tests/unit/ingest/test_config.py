"""What `stepline serve` refuses to begin with, and how it says so."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stepline_ingest.config import ServeConfig, address, is_loopback
from stepline_ingest.errors import StartupError
from tests.support.service import Service


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert is_loopback(host)
    ServeConfig(data=Path("d"), host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_other_hosts_need_insecure(host: str) -> None:
    with pytest.raises(StartupError, match="--insecure"):
        ServeConfig(data=Path("d"), host=host).check()
    ServeConfig(data=Path("d"), host=host, insecure=True).check()


@pytest.mark.parametrize("ports", [{"grpc_port": 70_000}, {"sql_port": -1}])
def test_ports_are_ports(ports: dict[str, int]) -> None:
    with pytest.raises(StartupError, match="between 0 and 65535"):
        ServeConfig(data=Path("d"), **ports).check()


def test_each_port_is_another_one() -> None:
    with pytest.raises(StartupError, match="a port of its own"):
        ServeConfig(data=Path("d"), grpc_port=1234, http_port=1234).check()
    ServeConfig(data=Path("d"), grpc_port=0, http_port=0, sql_port=0).check()


def test_a_store_is_named_by_a_dsn_that_is_not_repeated() -> None:
    with pytest.raises(StartupError, match="clickhouse://") as refusal:
        ServeConfig(data=Path("d"), store="http://u:secret@h/").check()
    assert "secret" not in str(refusal.value)


def test_addresses() -> None:
    assert address("127.0.0.1", 1) == "127.0.0.1:1"
    assert address("::1", 1) == "[::1]:1"


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepline_ingest", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FREE = ("--grpc-port", "0", "--http-port", "0", "--sql-port", "0")


def refusal(*arguments: str, code: int = 1) -> str:
    """The last line that a service that cannot begin leaves; it ends with CODE and no
    traceback."""
    ended = serve(*arguments)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith("stepline serve: ")
    return line


@pytest.mark.parametrize("name", ["grpc", "http", "sql"])
def test_a_port_in_use(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refusal("--data", str(tmp_path / "d"), *FREE, f"--{name}-port", port)
    assert port in line
    assert f"--{name}-port" in line


def test_a_directory_that_another_service_holds(tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        line = refusal("--data", str(service.data), *FREE)
        assert str(service.data) in line
        assert str(service.pid) in line
    # And free again when that one has ended.
    with Service(tmp_path / "data") as service:
        assert service.alive


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    line = refusal("--data", str(tmp_path / "file" / "data"), *FREE)
    assert str(tmp_path / "file") in line


def test_a_host_that_others_can_reach(tmp_path: Path) -> None:
    line = refusal("--data", str(tmp_path / "d"), *FREE, "--host", "0.0.0.0", code=2)
    assert "--insecure" in line
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "options",
    [("--tls-cert", "c.pem"), ("--keep-points", "3h"), ("--hang-limit", "-1"), ("--store", "x")],
    ids=lambda options: options[0],
)
def test_wrong_usage_has_a_code_of_its_own(tmp_path: Path, options: tuple[str, str]) -> None:
    """What starts a service again after a failure must not do so for ever."""
    line = refusal("--data", str(tmp_path / "d"), *FREE, *options, code=2)
    assert options[0] in line


def test_a_host_of_another_machine(tmp_path: Path) -> None:
    address = ("--host", "192.0.2.1", "--insecure")
    line = refusal("--data", str(tmp_path / "d"), *FREE, *address)
    assert line.endswith("pass --host with an address of this machine")


@pytest.mark.parametrize(
    ("options", "told"), [(("--insecure",), True), (("--insecure", "--require-keys"), False)]
)
def test_who_lets_everybody_in_is_told(
    tmp_path: Path, options: tuple[str, ...], told: bool
) -> None:
    ended = serve("--data", str(tmp_path / "d"), *FREE, "--host", "192.0.2.1", *options)
    assert ("and make that key" in ended.stderr) is told


def test_one_ready_line_and_a_clean_end(tmp_path: Path) -> None:
    service = Service(tmp_path / "data")
    ports = (service.grpc, service.http, service.sql)
    assert all(place.startswith("127.0.0.1:") for place in ports)
    assert len(set(ports)) == 3
    service.restart()
    assert (service.grpc, service.http, service.sql) == ports, "a restart keeps the ports"
    assert service.terminate() == 0
    assert "Traceback" not in service.log.read_text()
