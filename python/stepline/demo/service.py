"""A service of the demo's own, on free ports of the loopback interface."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from ..errors import SteplineError

_PATIENCE = 30.0


class NoService(SteplineError):
    """`stepline serve` ended instead of getting ready."""


class LocalService:
    """`stepline serve --data DATA` as a child process that ends with the block."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._log = data.with_name("service.log")
        self.grpc = self.http = self.sql = ""
        """HOST:PORT of each."""

    def arguments(self) -> str:
        """The arguments that start this service on its usual ports."""
        return f"serve --data {shlex.quote(str(self._data))}"

    def __enter__(self) -> LocalService:
        self._data.parent.mkdir(parents=True, exist_ok=True)
        ports = [f"--{name}-port=0" for name in ("grpc", "http", "sql")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stepline.cli", "serve", "--data", str(self._data), *ports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # Ctrl-C in the terminal is for the demo, which then ends the service in good order.
                start_new_session=True,
            )
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if words[:2] != ["stepline", "ready"]:
            self._process.wait()
            raise NoService(f"The service does not start: the reason stands in {self._log}.")
        addresses = dict(word.split("=", 1) for word in words[2:])
        self.grpc, self.http, self.sql = (addresses[name] for name in ("grpc", "http", "sql"))
        return self

    def wait(self) -> None:
        """Until the service ends, or Ctrl-C."""
        self._process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
