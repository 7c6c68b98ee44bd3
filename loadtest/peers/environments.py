"""A virtual environment for each tracker, made once and kept in the user's cache.

They lie in ${STEPLINE_PEERS_CACHE:-${XDG_CACHE_HOME:-~/.cache}/stepline/peers}, one folder for each
file of `requirements/`. A folder is made anew when its requirements have changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")
PREFERRED = "python3.11"
"""Every tracker measured here has wheels for it; otherwise the interpreter that runs this."""


class CannotInstall(Exception):
    """Why a tracker is missing from the table."""


def cache() -> Path:
    if chosen := os.environ.get("STEPLINE_PEERS_CACHE"):
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "stepline" / "peers"


def python_of(name: str) -> Path:
    """The interpreter of the environment NAME, made first when it is not there. Raises
    CannotInstall."""
    wanted = (REQUIREMENTS / f"{name}.txt").read_text()
    folder = cache() / name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {' '.join(wanted.split())} into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    base = shutil.which(PREFERRED) or sys.executable
    _run(base, "-m", "venv", str(folder))
    _run(
        *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("-r", str(REQUIREMENTS / f"{name}.txt")),
    )
    stamp.write_text(wanted)
    return python


def version_of(python: Path, package: str) -> str:
    program = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [str(python), "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def package_of(name: str) -> str:
    """The distribution that the environment is for: the first line of its requirements."""
    return (REQUIREMENTS / f"{name}.txt").read_text().split("==", 1)[0].strip()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise CannotInstall(said)
