"""A real `stepline serve` process in a directory of its own, for the integration and fault tests
and for benches."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.support.nursery import Newborn, Nursery

Process = subprocess.Popen[bytes] | Newborn

# Only ends a test that hangs: a cold engine on a busy machine takes seconds.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0


class Service:
    """Starts the service and waits until it says that it is ready.

    `grpc`, `http` and `sql` are "HOST:PORT". Port 0 takes a free one the first time; every restart
    comes back on the same ports and the same data. Standard error goes to `log`, a file beside the
    data. MODULE is what `python -m` runs; a NURSERY starts it sooner.
    """

    def __init__(
        self,
        data: Path | str,
        *options: str,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        http_port: int = 0,
        sql_port: int = 0,
        env: dict[str, str] | None = None,
        module: str = "stepline_ingest",
        nursery: Nursery | None = None,
    ) -> None:
        self.data = Path(data)
        self.log = self.data.with_name(self.data.name + ".log")
        self._module = module
        self._nursery = nursery
        self._options = options
        self._host = host
        self._ports = {"grpc": grpc_port, "http": http_port, "sql": sql_port}
        self._env = {**os.environ, **(env or {})}
        self._process: Process | None = None
        self.grpc = self.http = self.sql = ""
        self.start()

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process and reads its ready line."""
        assert not self.alive, "the service runs already"
        self.data.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["-m", self._module, "--data", str(self.data), "--host", self._host]
        for name, port in self._ports.items():
            arguments += [f"--{name}-port", str(port)]
        arguments += self._options
        with self.log.open("ab") as log:
            if self._nursery is not None:
                self._process = self._nursery.start(
                    arguments, env=self._env, stdout=subprocess.PIPE, stderr=log
                )
            else:
                self._process = subprocess.Popen(
                    [sys.executable, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._env,
                    # A Ctrl-C at the terminal is for the tests; they stop the service themselves.
                    start_new_session=True,
                )
        addresses = self._read_ready_line(self._process)
        self.grpc, self.http, self.sql = (addresses[name] for name in ("grpc", "http", "sql"))
        self._ports = {name: int(addresses[name].rsplit(":", 1)[1]) for name in self._ports}

    def kill(self) -> None:
        """SIGKILL: nothing of the process gets a chance to run."""
        process = self._running()
        process.send_signal(signal.SIGKILL)
        self._reap(process)

    def signal(self, number: int) -> None:
        """Sends a signal and does not wait for what comes of it."""
        self._running().send_signal(number)

    def wait(self) -> int:
        """Until the process has ended by itself; returns the exit code."""
        assert self._process is not None
        return self._reap(self._process)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return self._reap(process)

    def restart(self) -> None:
        """Ends the process when it still runs (SIGTERM), and starts it on the same ports and
        data."""
        if self.alive:
            code = self.terminate()
            assert code == 0, f"the service ended with {code}:\n{self.log_tail()}"
        self.start()

    def wait_dead(self) -> None:
        """Until the process has died of a signal that somebody else sent."""
        assert self._process is not None
        self._reap(self._process, START_TIMEOUT)

    def stop(self) -> None:
        """Ends the process by whatever it takes."""
        if self.alive:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the service wrote to standard error."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.log.exists():
            sys.stderr.write(f"--- {self.log}\n{self.log_tail()}\n")
        self.stop()

    def _running(self) -> Process:
        assert self._process is not None
        assert self.alive, f"the service does not run:\n{self.log_tail()}"
        return self._process

    def _reap(self, process: Process, timeout: float = STOP_TIMEOUT) -> int:
        code = process.wait(timeout)
        if process.stdout is not None:
            process.stdout.close()
        return code

    def _read_ready_line(self, process: Process) -> dict[str, str]:
        assert process.stdout is not None
        line = _read_line(process.stdout, START_TIMEOUT)
        words = line.split()
        if words[:2] != ["stepline", "ready"]:
            process.kill()
            code = self._reap(process)
            raise AssertionError(
                f"the service said {line!r} and ended with {code}:\n{self.log_tail()}"
            )
        return dict(word.split("=", 1) for word in words[2:])


def _read_line(stream: IO[bytes], timeout: float) -> str:
    """One line, or what came of it when the stream ended or the time was up."""
    end = time.monotonic() + timeout
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, end - time.monotonic())):
            byte = os.read(stream.fileno(), 1)
            if not byte:
                break
            line += byte
    return line.decode(errors="replace").strip()
