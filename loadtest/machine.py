"""Facts about the machine that figures belong to."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil


def facts() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def save(path: Path, *, command: str, facts: dict[str, Any], **results: Any) -> None:
    """Writes the results of a command with what it ran on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"command": command, "machine": facts, **results}
    path.write_text(json.dumps(said, indent=1) + "\n")


def describe(facts: dict[str, Any]) -> str:
    load = ", ".join(f"{value:g}" for value in facts["load_average"])
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']:g} GiB, Linux "
        f"{facts['kernel']}, Python {facts['python']}; load average at the start: {load}"
    )


def cpu_seconds(pid: int) -> float:
    """Processor time that process PID has taken."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
