"""Commands by somebody to whom the rights of files apply, also where the tests run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

_RIGHTS = "-dac_override,-dac_read_search,-fowner,-chown"

needs_rights = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root may read everything, and setpriv is not there to take that away",
)


def stepline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    command = [sys.executable, "-m", "stepline.cli", *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
