"""The program: its command line, its script, and the Python that runs it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from typing import Any

from ..redaction import redacted_command
from .text import clean


def program() -> dict[str, Any]:
    """One part of the context."""
    found = {
        "command": redacted_command(clean(shlex.join(sys.orig_argv))),
        "script": clean(script() or ""),
        "directory": clean(os.getcwd()),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": clean(sys.executable or ""),
        "user": clean(user()),
    }
    return {name: value for name, value in found.items() if value}


def script() -> str | None:
    """The file that Python was started with; None in an interpreter or a notebook."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(path) if isinstance(path, str) else None


def user() -> str:
    """As the environment says: asking the system may mean asking a directory server."""
    names = ("USER", "LOGNAME", "USERNAME")
    found = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return found or str(os.getuid())
