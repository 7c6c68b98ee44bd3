"""The packages of the environment.

Read from the names of their folders: `importlib.metadata` opens a file for each to say the same,
which takes a hundred times as long.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from typing import Any

_FOLDER = re.compile(r"(?P<name>.+?)-(?P<version>[0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info")
_SEPARATORS = re.compile(r"[-_.]+")
_MOST = 5_000


def packages(deadline: float) -> dict[str, Any]:
    """Name -> version; of two the one that comes first on sys.path. DEADLINE is of the monotonic
    clock: a slow file system gives what there was until then."""
    found: dict[str, Any] = {}
    complete = True
    for folder in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in entries:
                match = _FOLDER.fullmatch(entry.name)
                if match is not None:
                    name = _SEPARATORS.sub("-", match["name"]).lower()
                    found.setdefault(name, match["version"])
        if time.monotonic() > deadline or len(found) > _MOST:
            complete = False
            break
    result: dict[str, Any] = {"packages": dict(sorted(found.items()))}
    return result if complete else {**result, "incomplete": True}
