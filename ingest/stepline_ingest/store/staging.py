"""Blocks on their way into the store: files in memory, written once and read by every INSERT that
it takes.

chDB's own streaming insert reports success for rows that it could not write (too many parts, no
memory, ...). An `INSERT ... FROM INFILE` reports every error. The file is never on a disk where the
system has memfd, and is used again: its pages being there already saves two thirds of the copy.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

_KEEP_BYTES = 256 << 20
"""A file that grew beyond this is not kept."""
_IOV_MAX = 512
_CHUNK = 1 << 20


class StagedBlock:
    """One Native block. Its bytes never change, so an INSERT of unknown outcome can be repeated
    with the same ones."""

    def __init__(
        self, handle: int, rows: int, size: int, give_back: Callable[[int, int], None]
    ) -> None:
        self._handle = handle
        self._give_back = give_back
        self.rows = rows
        self.size = size
        """Bytes."""

    @property
    def path(self) -> str:
        """Where this process can open the block; every opening reads it from its start."""
        return f"/proc/self/fd/{self._handle}" if sys.platform == "linux" else self._copy_path()

    def head(self, size: int) -> bytes:
        """The first SIZE bytes, or all when there are fewer."""
        return os.pread(self._handle, min(size, self.size), 0)

    def chunks(self) -> Generator[bytes, None, None]:
        """All bytes, in pieces."""
        for at in range(0, self.size, _CHUNK):
            yield os.pread(self._handle, min(_CHUNK, self.size - at), at)

    def close(self) -> None:
        """Gives the memory back. A second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self._give_back(handle, self.size)

    def __enter__(self) -> StagedBlock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _copy_path(self) -> str:
        # Here the path shares the offset of the handle.
        os.lseek(self._handle, 0, os.SEEK_SET)
        return f"/dev/fd/{self._handle}"


class Staging:
    """A few files, as many as blocks are under way at the same time."""

    def __init__(self, directory: Path | None = None) -> None:
        """DIRECTORY holds the files, already unlinked, where the system has none in memory."""
        self._directory = directory
        self._idle: list[int] = []
        self._closed = False
        self._lock = threading.Lock()

    def stage(self, write: Callable[[int], int]) -> StagedBlock:
        """WRITE gets an empty open file, writes one block to it and returns its rows."""
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        if handle is None:
            handle = _new_file(self._directory)
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            rows = write(handle)
            size = os.lseek(handle, 0, os.SEEK_CUR)
            os.ftruncate(handle, size)
        except BaseException:
            os.close(handle)
            raise
        return StagedBlock(handle, rows, size, self._take_back)

    def stage_pieces(self, pieces: Sequence[bytes], rows: int) -> StagedBlock:
        """PIECES, one after the other."""

        def write(handle: int) -> int:
            _write_all(handle, pieces)
            return rows

        return self.stage(write)

    def close(self) -> None:
        """Keeps no file any more; a block that is still staged can be read until it is closed."""
        with self._lock:
            self._closed = True
            for handle in self._idle:
                os.close(handle)
            self._idle.clear()

    def _take_back(self, handle: int, size: int) -> None:
        with self._lock:
            if size <= _KEEP_BYTES and not self._closed:
                self._idle.append(handle)
                return
        os.close(handle)


def _new_file(directory: Path | None) -> int:
    if sys.platform == "linux":
        return os.memfd_create("stepline-block", os.MFD_CLOEXEC)
    handle, path = tempfile.mkstemp(prefix="block-", dir=directory)
    os.unlink(path)
    return handle


def _write_all(handle: int, pieces: Sequence[bytes]) -> None:
    queue = [memoryview(piece) for piece in pieces if piece]
    first = 0
    while first < len(queue):
        written = os.writev(handle, queue[first : first + _IOV_MAX])
        while first < len(queue) and written >= len(queue[first]):
            written -= len(queue[first])
            first += 1
        if written:
            queue[first] = queue[first][written:]
