"""Files with their checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .manifest import BackupError, File, Part

CHECKSUMS = "checksums.txt"
"""The engine's own list of the files of a part with their sizes and hashes. Parts whose lists are
equal have equal data."""

_CHUNK = 1 << 20

Told = Callable[[int], None]
"""Hears of every few bytes that were dealt with. What it raises ends the work."""


def copy_part(
    source: Path, target: Path, earlier: Path | None, known: Part | None, told: Told
) -> Part:
    """Copies the files of a part and returns them with their checksums.

    With EARLIER, the same part in an earlier backup, and KNOWN, its files, those that cannot differ
    are linked instead.
    """
    same = earlier is not None and known is not None and _same_data(source, earlier)
    files: dict[str, File] = {}
    for path in files_below(source):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        size = (source / path).stat().st_size
        held = known.get(path) if same and known is not None else None
        if earlier is not None and held is not None and held.size == size and _is_data(path):
            try:
                os.link(earlier / path, place)
                files[path] = held
                told(size)
                continue
            except OSError:
                pass  # another file system: the copy costs space, nothing else
        files[path] = copy_file(source / path, place, told)
    return files


def copy_file(source: Path, target: Path, told: Told) -> File:
    """Copies a file and returns what was read."""
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as inp, target.open("xb") as out:
        while chunk := inp.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
            size += len(chunk)
            told(len(chunk))
    return File(size, digest.hexdigest())


def bring_part(source: Path, target: Path, part: Part, told: Told) -> None:
    """Copies the files of PART from a backup. Raises BackupError when one is not what it was."""
    for path, wanted in part.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = copy_file(source / path, place, told)
        except FileNotFoundError:
            raise _damaged(source / path, "it is missing") from None
        if found != wanted:
            raise _damaged(source / path, "it is not what was written")


def files_below(folder: Path) -> Iterator[str]:
    """Relative paths, in a stable order."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield str((Path(root) / name).relative_to(folder))


def _same_data(source: Path, earlier: Path) -> bool:
    try:
        return (source / CHECKSUMS).read_bytes() == (earlier / CHECKSUMS).read_bytes()
    except OSError:
        return False


def _is_data(path: str) -> bool:
    """Covered by the engine's list; small text files beside it are copied."""
    return path.endswith((".bin", ".idx", ".cidx", ".mrk2", ".mrk4", ".cmrk2", ".cmrk4", ".packed"))


def _damaged(path: Path, how: str) -> BackupError:
    return BackupError(f"the file {path} is damaged ({how}): use another backup")
