"""Processes that start in a fraction of a second: a fault run starts and audits the service
hundreds of times, and most of each start would be imports.

The nursery is a process that has imported the service and the command line, but not the engine
(which starts threads when it is loaded), and has opened nothing. It forks for each order. What it
forks is like a process of its own: other standard streams, another environment, a session of its
own. It dies with the nursery, and the nursery ends with the tests.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


class Newborn:
    """A process of a nursery, as far as tests need one: the part of `subprocess.Popen`."""

    def __init__(self, nursery: Nursery, pid: int, stdout: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            # Only the nursery reaps it, when it is asked: until then the number is its own.
            watched = os.pidfd_open(self.pid)
            try:
                with selectors.DefaultSelector() as selector:
                    selector.register(watched, selectors.EVENT_READ)
                    if not selector.select(timeout):
                        raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0.0)
            finally:
                os.close(watched)
            self.poll()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts on first use; `close` ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def start(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> Newborn:
        """`python ARGUMENTS`, which are `-m MODULE ...`: a module with a `main` that returns an
        exit code. Standard output may be a PIPE."""
        reading = writing = -1
        if stdout == subprocess.PIPE:
            reading, writing = os.pipe()
        streams = [writing if writing >= 0 else _fileno(stdout), _fileno(stderr)]
        order = {"arguments": list(arguments), "env": dict(env)}
        try:
            pid = self.ask(order, streams)
        finally:
            if writing >= 0:
                os.close(writing)
        return Newborn(self, pid, os.fdopen(reading, "rb", 0) if reading >= 0 else None)

    def ask(self, order: dict[str, Any], streams: Sequence[int] = ()) -> Any:
        """The answer to one order."""
        line = self._open()
        socket.send_fds(line, [json.dumps(order).encode()], list(streams))
        return json.loads(line.recv(1 << 16))

    def close(self) -> None:
        if self._line is not None and self._process is not None:
            self._line.close()
            self._process.wait(60)
        self._line = self._process = None

    def _open(self) -> socket.socket:
        if self._line is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())],
                    cwd=ROOT,
                    pass_fds=[theirs.fileno()],
                    # A BLAS thread would be there before the fork.
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                )
            self._line = ours
        return self._line


def _fileno(stream: int | IO[bytes]) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


def _serve(line: socket.socket) -> None:
    from tests.support import faulty_service

    faulty_service.bend_clock()
    for module in ("stepline.cli.main", "stepline_ingest.doctor", "stepline_ingest.main"):
        importlib.import_module(module)

    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"{threads} threads: what is forked here would lack some"
    while True:
        text, streams, _, _ = socket.recv_fds(line, 1 << 20, 2)
        if not text:
            return
        order = json.loads(text)
        if "poll" in order:
            pid, status = os.waitpid(order["poll"], os.WNOHANG)
            answer = None if pid == 0 else os.waitstatus_to_exitcode(status)
        else:
            answer = _fork(line, order, streams)
        line.send(json.dumps(answer).encode())


def _fork(line: socket.socket, order: dict[str, Any], streams: Sequence[int]) -> int:
    nursery = os.getpid()
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        return pid
    code = 1
    try:
        line.close()
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != nursery:
            os._exit(code)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(order["env"])
        _, module, *rest = order["arguments"]
        sys.argv = [module, *rest]
        code = importlib.import_module(module).main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
