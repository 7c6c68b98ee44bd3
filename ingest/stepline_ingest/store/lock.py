"""The lock of a data directory: one process at a time opens the engine in it.

The engine has a lock of its own, but says nothing useful when it is taken.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .errors import StoreError, unusable


class DirectoryInUse(StoreError):
    """Another process has the directory; WHERE says which, without a remedy."""

    def __init__(self, where: str, remedy: str) -> None:
        super().__init__(f"{where}: {remedy}")
        self.where = where


class DirectoryLock:
    """Held from its making until `release`, or until the process ends in whatever way."""

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(directory, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise DirectoryInUse(
                f"{directory} is in use by process {holder}",
                "end that process, or choose another data directory",
            ) from None
        except OSError as error:
            os.close(self._file)
            raise StoreError(
                f"cannot lock {path} ({error.strerror}): put the data directory on a local disk"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)
