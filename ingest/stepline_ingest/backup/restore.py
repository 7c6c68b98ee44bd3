"""From a backup to a new data directory."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from stepline_ingest.schema import migrate, migrations
from stepline_ingest.store.embedded import EmbeddedStore

from .copying import Told, bring_part
from .create import HISTORY, Counter, Progress, nobody
from .manifest import DATA, BackupError, Manifest, Part, read_manifest, sync_folder

log = logging.getLogger(__name__)

RESTORING = ".restoring"
"""What the directory is called until everything is there and counted."""


def restore_backup(source: Path, directory: Path, *, progress: Progress = nobody) -> Manifest:
    """Makes DIRECTORY, which must not be there or be empty, a store as the backup shows it.

    Every file is compared with its checksum on the way. A restore that is refused leaves nothing,
    one that is interrupted DIRECTORY.restoring, never DIRECTORY. A backup of an older schema is
    brought up to date. Raises BackupError, StoreError.
    """
    manifest = read_manifest(source)
    newest = migrations()[-1].version
    if manifest.schema > newest:
        raise BackupError(
            f"the backup {source} has schema version {manifest.schema}, this program knows "
            f"versions up to {newest}: upgrade stepline-ingest to the version that wrote the backup"
        )
    working = directory.with_name(directory.name + RESTORING)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise BackupError(
                f"the folder {directory} is there already: name one that is not, and serve from it"
            )
        if working.exists():
            shutil.rmtree(working)
        try:
            _fill(working, source, manifest, progress)
        except Exception:
            shutil.rmtree(working, ignore_errors=True)
            raise
        if directory.exists():
            directory.rmdir()
        working.rename(directory)
        sync_folder(directory.parent)
    except OSError as error:
        raise BackupError(
            f"cannot restore to {directory} ({error.strerror or error}): make room there, run this "
            "as a user who may write there, or name another folder"
        ) from error
    return manifest


def _fill(working: Path, source: Path, manifest: Manifest, progress: Progress) -> None:
    store = EmbeddedStore(working)
    try:
        # A merge may drop rows that others replace, and then the counts would differ.
        store.command("SYSTEM STOP MERGES")
        migrate(store, newest=manifest.schema)
        counter = Counter(manifest.nbytes, progress)
        for table, parts in manifest.tables.items():
            if table == HISTORY:
                continue  # the migrations were applied here
            for name, part in sorted(parts.items(), key=lambda item: _order(item[0])):
                place = source / DATA / table / name
                store.attach_part(table, name, _bringer(place, part, counter.add))
            _count(store, table, manifest.rows[table])
        store.command("SYSTEM START MERGES")
        migrate(store)
    finally:
        store.close()


def _bringer(place: Path, part: Part, told: Told) -> Callable[[Path], None]:
    return lambda target: bring_part(place, target, part, told)


def _order(name: str) -> tuple[str, int]:
    """By the number of the first block in it: of rows that replace each other without a version
    the one that was inserted last counts."""
    partition, block, *_ = name.split("_")
    return partition, int(block)


def _count(store: EmbeddedStore, table: str, wanted: int) -> None:
    ((found,),) = store.query(
        "SELECT sum(rows) FROM system.parts "
        "WHERE database = currentDatabase() AND active AND table = {table:String}",
        {"table": table},
    )
    if int(str(found or 0)) != wanted:
        raise BackupError(
            f"table {table} has {found} rows instead of {wanted} after the restore: use another "
            "backup"
        )
