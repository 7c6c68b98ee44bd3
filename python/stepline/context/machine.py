"""The machine: processors, memory, and accelerators.

Everything is read from /proc and /sys, in microseconds. A driver is not asked here, as its first
answer may take a second.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
from pathlib import Path
from typing import Any

from .text import clean

_MODEL = re.compile(r"^(?:model name|Model)\s*:\s*(.+)$", re.MULTILINE)


def machine(root: Path = Path("/")) -> dict[str, Any]:
    """One part of the context. ROOT is where /proc and /sys lie."""
    found: dict[str, Any] = {
        "host": clean(socket.gethostname()),
        "system": platform.platform(),
        "cpus": os.cpu_count() or 0,
    }
    with contextlib.suppress(OSError, AttributeError):
        found["cpus_allowed"] = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        found["memory"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = _MODEL.search(_head(root / "proc" / "cpuinfo"))
    if model is not None:
        found["cpu"] = model[1]
    gpus = [*_nvidia(root), *_amd(root)]
    if gpus:
        found["gpus"] = gpus
    driver = _head(root / "sys" / "module" / "nvidia" / "version").strip()
    if driver:
        found["nvidia_driver"] = driver
    return found


def _nvidia(root: Path) -> list[dict[str, Any]]:
    gpus = []
    for info in sorted((root / "proc" / "driver" / "nvidia" / "gpus").glob("*/information")):
        text = _head(info)
        model = _MODEL.search(text)
        uuid = re.search(r"^GPU UUID\s*:\s*(\S+)$", text, re.MULTILINE)
        gpus.append(
            {
                "name": clean(model[1].strip()) if model else "NVIDIA",
                "bus": info.parent.name,
                **({"uuid": uuid[1]} if uuid else {}),
            }
        )
    return gpus


def _amd(root: Path) -> list[dict[str, Any]]:
    gpus = []
    for vendor in sorted((root / "sys" / "class" / "drm").glob("card[0-9]*/device/vendor")):
        if _head(vendor).strip() != "0x1002":
            continue
        name = _head(vendor.with_name("product_name")).strip()
        gpu: dict[str, Any] = {"name": clean(name) or "AMD", "bus": vendor.parent.resolve().name}
        with contextlib.suppress(ValueError):
            gpu["memory"] = int(_head(vendor.with_name("mem_info_vram_total")))
        gpus.append(gpu)
    return gpus


def _head(path: Path) -> str:
    """The first kilobytes of a file; empty when it cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(4096).decode(errors="replace")
    return ""
