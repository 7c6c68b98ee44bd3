"""One contender, one fresh process, one folder: what the process tree cost and what it left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.machine import cpu_seconds
from loadtest.peers.catalog import Contender

HERE = Path(__file__).parent
PATIENCE = 20.0
"""Seconds that what a contender started may outlive it."""
READER_TIMEOUT = 120.0


class Failed(Exception):
    """A contender did not do its work; the message is what it said last."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where everything happens."""

    root: Path
    pythons: dict[str, Path]
    service: str
    """HOST:PORT of the Stepline service."""
    service_pid: int


@dataclass(kw_only=True)
class Measured:
    """What one trial of `calls` calls with `metrics` values each came to."""

    metrics: int
    latencies: array[int]
    """Nanoseconds of each call."""
    log_seconds: float
    finish_seconds: float
    """In the call that ends the run."""
    process_seconds: float
    """From the first call until the process has ended."""
    tree_seconds: float
    """The same for everything that it started."""
    cpu_seconds: float
    """User and system time from the first call on, child processes included."""
    service_cpu_seconds: float
    """Of the Stepline service, which in real life runs on another machine; else 0."""
    peak_bytes: int
    disk_bytes: int
    outlived: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return self.metrics * len(self.latencies)


def log_trial(
    bench: Bench, contender: Contender, folder: Path, *, metrics: int, calls: int, seconds: float
) -> Measured:
    """Times up to CALLS calls; raises Failed."""
    before = _service_cpu(bench, contender)
    said = _supervised(
        bench, contender, folder, do="log", metrics=metrics, calls=calls, seconds=seconds
    )
    latencies = array("Q")
    data = (folder / "latencies.bin").read_bytes()
    latencies.frombytes(data)
    (folder / "latencies.bin").unlink()
    return Measured(
        metrics=metrics,
        latencies=latencies,
        log_seconds=said["log_seconds"],
        finish_seconds=said["finish_seconds"],
        process_seconds=said["process_seconds"],
        tree_seconds=said["tree_seconds"],
        cpu_seconds=said["cpu_seconds"],
        service_cpu_seconds=_service_cpu(bench, contender) - before,
        peak_bytes=said["peak_bytes"],
        disk_bytes=disk_bytes(folder),
        outlived=said["outlived"],
    )


def kill_trial(
    bench: Bench,
    contender: Contender,
    folder: Path,
    *,
    kill: str,
    metrics: int,
    calls: int,
    seconds: float,
) -> tuple[int, int]:
    """Values for which the call had returned when SIGKILL came, and values read back. Raises
    Failed."""
    said = _supervised(
        bench,
        contender,
        folder,
        do="burst",
        kill=kill,
        metrics=metrics,
        calls=calls,
        seconds=seconds,
    )
    return said["logged"] * metrics, read_back(bench, contender, folder)


def read_back(bench: Bench, contender: Contender, folder: Path) -> int:
    """Values that the contender's own reader finds. Raises Failed."""
    spec = {"do": "count", "folder": str(folder)}
    try:
        done = subprocess.run(
            _command(bench, contender, spec),
            env=_environment(bench, contender, folder),
            cwd=folder,
            capture_output=True,
            timeout=READER_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"its reader did not end within {READER_TIMEOUT:.0f} s") from error
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    if done.returncode or not lines:
        raise Failed(f"its reader failed: {_last_line(done.stderr)}")
    return int(json.loads(lines[-1])["points"])


def disk_bytes(folder: Path) -> int:
    """Allocated blocks of all files, but for what we put there ourselves."""
    return sum(
        entry.stat().st_blocks * 512
        for entry in folder.rglob("*")
        if entry.is_file() and not entry.is_symlink() and entry.name != "stderr.txt"
    )


def _supervised(
    bench: Bench, contender: Contender, folder: Path, *, kill: str | None = None, **spec: Any
) -> dict[str, Any]:
    folder.mkdir(parents=True)
    order = {
        "command": _command(bench, contender, {**spec, "folder": str(folder)}),
        "env": _environment(bench, contender, folder),
        "cwd": str(folder),
        "kill": kill,
        "patience": PATIENCE,
    }
    with (folder / "stderr.txt").open("wb") as errors:
        done = subprocess.run(
            [sys.executable, str(HERE / "supervise.py"), json.dumps(order)],
            stdout=subprocess.PIPE,
            stderr=errors,
            check=True,
        )
    said: dict[str, Any] = json.loads(done.stdout)
    if not said["logged"] if kill else "calls" not in said:
        raise Failed(_last_line((folder / "stderr.txt").read_bytes()))
    return said


def _service_cpu(bench: Bench, contender: Contender) -> float:
    if not contender.needs_service:
        return 0.0
    return cpu_seconds(bench.service_pid)


def _command(bench: Bench, contender: Contender, spec: dict[str, Any]) -> list[str]:
    python = bench.pythons[contender.environment] if contender.environment else sys.executable
    adapter = HERE / "adapters" / f"{contender.adapter}.py"
    return [str(python), str(HERE / "child.py"), str(adapter), json.dumps(spec)]


def _environment(bench: Bench, contender: Contender, folder: Path) -> dict[str, str]:
    """Nothing of the user's own settings, and a home of its own: nothing lands elsewhere."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PEER_READER": bench.service,
        **contender.variables,
    }
    if contender.needs_service:
        variables["PEER_SERVER"] = bench.service
    return variables


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
