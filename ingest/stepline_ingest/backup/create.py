"""From a store to a backup, while it is being written to."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.snapshot import Snapshot

from .copying import copy_part
from .manifest import (
    DATA,
    BackupError,
    Manifest,
    Part,
    read_manifest,
    sync_folder,
    write_manifest,
)

log = logging.getLogger(__name__)

PARTIAL = ".partial"
"""What a backup is called until it is complete."""
HISTORY = "schema_migrations"
_ROWS = """
SELECT table, sum(rows) FROM system.parts
WHERE database = currentDatabase() AND active GROUP BY table
"""
_SCHEMA = "SELECT max(version) FROM schema_migrations"

Progress = Callable[[int, int], None]
"""Bytes dealt with, bytes in all. What it raises ends the work."""


class Counter:
    """Sums up what was done of TOTAL."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def add(self, nbytes: int) -> None:
        self._done += nbytes
        self._progress(self._done, self._total)


def nobody(done: int, total: int) -> None:
    """For whom progress is of no interest."""


def create_backup(
    store: EmbeddedStore,
    target: Path,
    *,
    version: str,
    base: Path | None = None,
    progress: Progress = nobody,
) -> Manifest:
    """Writes the store as it is at one instant to TARGET, which must not be there yet.

    Inserts wait while the parts are linked, not while they are copied. BASE is an earlier backup:
    what did not change since is linked from it, when it lies on the same file system. An
    interrupted backup leaves TARGET.partial, which the next one removes, and never TARGET. Raises
    BackupError, StoreError.
    """
    partial = target.with_name(target.name + PARTIAL)
    earlier = read_manifest(base) if base is not None else None
    try:
        _make_room(target, partial)
        with store.snapshot() as snapshot:
            created = datetime.now(timezone.utc).isoformat(timespec="seconds")
            tables = _copied(snapshot, partial, base, earlier, progress)
        ((schema,),) = store.query(_SCHEMA)
        manifest = Manifest(
            created=created,
            version=version,
            schema=int(str(schema)),
            rows={table: _rows(parts, partial / DATA / table) for table, parts in tables.items()},
            tables=tables,
        )
        write_manifest(partial, manifest)
        partial.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise BackupError(
            f"cannot write the backup to {target} ({error.strerror or error}): make room there, "
            "run this as a user who may write there, or name another folder"
        ) from error
    log.info(
        "backup of %d bytes in %d files at %s",
        manifest.nbytes,
        manifest.files,
        target,
        extra={"event": "backup", "bytes": manifest.nbytes, "target": str(target)},
    )
    return manifest


def _make_room(target: Path, partial: Path) -> None:
    if target.exists():
        raise BackupError(f"the folder {target} is there already: name a folder that is not")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True, mode=0o700)


def _copied(
    snapshot: Snapshot,
    partial: Path,
    base: Path | None,
    earlier: Manifest | None,
    progress: Progress,
) -> dict[str, dict[str, Part]]:
    counter = Counter(sum(_size(p) for parts in snapshot.parts.values() for p in parts), progress)
    tables: dict[str, dict[str, Part]] = {}
    for table, parts in snapshot.parts.items():
        held = earlier.tables.get(table, {}) if earlier is not None else {}
        copied = tables.setdefault(table, {})
        for part in parts:
            old = base / DATA / table / part.name if base is not None else None
            copied[part.name] = copy_part(
                part,
                partial / DATA / table / part.name,
                old,
                held.get(part.name),
                counter.add,
            )
    return tables


def _rows(parts: dict[str, Part], folder: Path) -> int:
    """As the parts say themselves."""
    return sum(int((folder / name / "count.txt").read_text()) for name in parts)


def _size(folder: Path) -> int:
    return sum(
        os.stat(os.path.join(root, name)).st_size
        for root, _, names in os.walk(folder)
        for name in names
    )
