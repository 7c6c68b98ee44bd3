"""What a supervisor sees of the service: probes, signals, exit codes."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import urllib3
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from stepline_ingest.watchdog import EXIT_CODE
from tests.support.hanging_service import HANG
from tests.support.processes import wait_until
from tests.support.service import Service
from tests.support.writers import plain

WRITER = bytes(range(16))
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Pushing:
    """A Push stream of one writer, held open."""

    def __init__(self, channel: grpc.Channel, run_id: str) -> None:
        runs_pb2_grpc.RunsStub(channel).CreateRun(
            runs_pb2.CreateRunRequest(
                project="p", run_id=run_id, launch_id="one", world_size=1, writer=WRITER
            ),
            timeout=60,
        )
        self._requests: queue.Queue[Any] = queue.Queue()
        hello = ingest_pb2.Hello(writer=WRITER, run_id=run_id, attempt=1, epoch=1)
        self._requests.put(ingest_pb2.PushRequest(hello=hello))
        self._replies = ingest_pb2_grpc.IngestStub(channel).Push(iter(self._requests.get, None))
        assert next(self._replies).HasField("welcome")

    def send(self, first: int, last: int) -> None:
        self._requests.put(ingest_pb2.PushRequest(batch=plain(first, last)))

    def end(self) -> tuple[int, grpc.StatusCode]:
        """The highest ack until the stream ended, and the code that it ended with."""
        acked = 0
        try:
            for reply in self._replies:
                acked = max(acked, reply.ack.committed_seq)
        except grpc.RpcError as error:
            return acked, error.code()
        return acked, grpc.StatusCode.OK


@pytest.fixture
def hang(tmp_path: Path) -> Path:
    return tmp_path / "hang"


@pytest.fixture
def hanging(tmp_path: Path, hang: Path) -> Iterator[Service]:
    service = Service(
        tmp_path / "data",
        *("--hang-limit", "5"),
        env={HANG: str(hang)},
        module="tests.support.hanging_service",
    )
    yield service
    if service.alive:
        service.kill()


def readyz(service: Service) -> tuple[int, Any]:
    answer = urllib3.request("GET", f"http://{service.http}/readyz", timeout=60)
    return answer.status, answer.json()


def test_an_engine_that_hangs_ends_the_process(hanging: Service, hang: Path) -> None:
    """Guarantee: exit code 70, the stacks of all threads in the log, the same data afterwards."""
    hang.touch()
    assert hanging.wait() == EXIT_CODE
    log = hanging.log_tail(10_000)
    assert "the engine has not answered" in log
    assert "Thread 0x" in log
    assert "held_up" in log, "the stack that hangs is shown"
    hang.unlink()
    hanging.start()
    assert readyz(hanging)[0] == 200


def test_a_second_signal_does_not_wait(hanging: Service, hang: Path) -> None:
    """Scenario: the store hangs with a batch in flight, so the drain cannot end."""
    with grpc.insecure_channel(hanging.grpc) as channel:
        stream = Pushing(channel, "second-signal")
        hang.touch()
        stream.send(1, 5)
        wait_until(lambda: received(hanging) >= 1, what="the batch arrives")
        hanging.signal(signal.SIGTERM)
        wait_until(lambda: "the service is stopping" in hanging.log_tail(), what="the drain begins")
        hanging.signal(signal.SIGTERM)
        assert hanging.wait() == 1
    assert "a second signal" in hanging.log_tail()


def test_a_drain_tells_everyone(tmp_path: Path) -> None:
    """Scenario: SIGTERM while a stream has batches in flight. Guarantee: health says NOT_SERVING,
    what was sent is acknowledged, the stream ends with UNAVAILABLE, the exit code is 0."""
    with Service(tmp_path / "data") as service, grpc.insecure_channel(service.grpc) as channel:
        seen: queue.Queue[int] = queue.Queue()

        def watch() -> None:
            health = health_pb2_grpc.HealthStub(channel)
            try:
                for reply in health.Watch(health_pb2.HealthCheckRequest()):
                    seen.put(reply.status)
            except grpc.RpcError:
                pass

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert seen.get(timeout=60) != NOT_SERVING
        stream = Pushing(channel, "drained")
        for first in range(1, 101, 10):
            stream.send(first, first + 9)
        wait_until(lambda: received(service) >= 10, what="the batches arrive")
        service.signal(signal.SIGTERM)
        acked, code = stream.end()
        assert (acked, code) == (100, grpc.StatusCode.UNAVAILABLE)
        assert seen.get(timeout=60) == NOT_SERVING
        assert service.wait() == 0
        watcher.join()


def received(service: Service) -> float:
    page = urllib3.request("GET", f"http://{service.http}/metrics", timeout=60).data.decode()
    (line,) = (
        line for line in page.splitlines() if line.startswith("stepline_batches_received_total ")
    )
    return float(line.split()[1])


def test_the_log_keeps_secrets(tmp_path: Path) -> None:
    """Also when the store cannot be reached, which is when people copy the log."""
    command = [sys.executable, "-m", "stepline_ingest", "--data", str(tmp_path / "data")]
    store = ["--store", "clickhouse://someone:hunter2@127.0.0.1:1/stepline"]
    ports = ["--grpc-port", "0", "--http-port", "0", "--sql-port", "0", "--log-level", "debug"]
    done = subprocess.run(
        [*command, *store, *ports], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "cannot reach ClickHouse at 127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
