"""Files in memory through which blocks reach the embedded engine.

chDB's own streaming insert reports success for rows that it could not write (too many parts, no
memory, ...). An `INSERT ... FROM INFILE` reports every error. The file is never on a disk where the
system has memfd, and is used again: its pages being there already saves two thirds of the copy.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_KEEP_BYTES = 256 << 20
"""A file that grew beyond this is not kept."""
_IOV_MAX = 512


class Staging:
    """A few files, as many as inserts run at the same time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._idle: list[int] = []
        self._lock = threading.Lock()

    @contextmanager
    def file(self, pieces: Sequence[bytes]) -> Iterator[str]:
        """The path of a file that holds PIECES, one after the other."""
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        if handle is None:
            handle = _new_file(self._directory)
        try:
            size = _fill(handle, pieces)
            yield f"/proc/self/fd/{handle}" if sys.platform == "linux" else f"/dev/fd/{handle}"
        except BaseException:
            os.close(handle)
            raise
        if size > _KEEP_BYTES:
            os.close(handle)
            return
        with self._lock:
            self._idle.append(handle)

    def close(self) -> None:
        with self._lock:
            for handle in self._idle:
                os.close(handle)
            self._idle.clear()


def _new_file(directory: Path) -> int:
    if sys.platform == "linux":
        return os.memfd_create("stepline-block", os.MFD_CLOEXEC)
    handle, path = tempfile.mkstemp(prefix="block-", dir=directory)
    os.unlink(path)
    return handle


def _fill(handle: int, pieces: Sequence[bytes]) -> int:
    """Makes PIECES the whole content; the offset is at the start afterwards."""
    os.lseek(handle, 0, os.SEEK_SET)
    queue = [memoryview(piece) for piece in pieces if piece]
    size = 0
    first = 0
    while first < len(queue):
        written = os.writev(handle, queue[first : first + _IOV_MAX])
        size += written
        while first < len(queue) and written >= len(queue[first]):
            written -= len(queue[first])
            first += 1
        if written:
            queue[first] = queue[first][written:]
    os.ftruncate(handle, size)
    os.lseek(handle, 0, os.SEEK_SET)
    return size
