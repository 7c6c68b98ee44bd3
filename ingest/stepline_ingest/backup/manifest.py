"""What a complete backup says of itself. Without a manifest a folder is no backup."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepline_ingest.store.errors import StoreError

FILE = "manifest.json"
DATA = "data"
FORMAT = 1


class BackupError(StoreError):
    """The backup, its place or the place to restore to is not usable. Ends with the remedy."""


@dataclass(frozen=True, slots=True)
class File:
    size: int
    sha256: str


Part = Mapping[str, File]
"""The files of a part by their path below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """TABLES gives the parts of each table by name; ROWS counts the rows of each table."""

    created: str
    """ISO 8601, UTC: the instant that the backup shows."""
    version: str
    """Of stepline-ingest."""
    schema: int
    """The newest migration of the store."""
    rows: Mapping[str, int]
    tables: Mapping[str, Mapping[str, Part]]

    @property
    def files(self) -> int:
        return sum(len(part) for parts in self.tables.values() for part in parts.values())

    @property
    def nbytes(self) -> int:
        return sum(
            file.size
            for parts in self.tables.values()
            for part in parts.values()
            for file in part.values()
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Durable when it returns, as is everything else in FOLDER."""
    os.sync()  # thousands of small files: one by one would take longer than copying them
    path = folder / FILE
    with path.with_suffix(".new").open("w", encoding="utf-8") as out:
        json.dump({"format": FORMAT, **asdict(manifest)}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    path.with_suffix(".new").rename(path)
    sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError when FOLDER is no complete backup that this version can read."""
    path = folder / FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise BackupError(
                f"the backup {folder} has format {said['format']}, this version reads {FORMAT}: "
                "use the version of stepline-ingest that wrote it, or a newer one"
            )
        return _manifest(said)
    except FileNotFoundError:
        raise BackupError(
            f"the folder {folder} is no complete backup: it has no {FILE}; name a folder that "
            "`stepline backup` has finished"
        ) from None
    except OSError as error:
        raise BackupError(
            f"the file {path} cannot be read ({error.strerror or error}): run this as the user of "
            "the service, who made it"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"the file {path} is damaged ({error!r}): use another backup") from error


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest(said: dict[str, Any]) -> Manifest:
    tables = {
        table: {name: _part(part) for name, part in parts.items()}
        for table, parts in said["tables"].items()
    }
    return Manifest(
        created=str(said["created"]),
        version=str(said["version"]),
        schema=int(said["schema"]),
        rows={table: int(rows) for table, rows in said["rows"].items()},
        tables=tables,
    )


def _part(said: dict[str, Any]) -> dict[str, File]:
    part = {path: File(int(file["size"]), str(file["sha256"])) for path, file in said.items()}
    if any(Path(path).is_absolute() or ".." in Path(path).parts for path in part):
        raise ValueError("a path leaves the backup")
    return part
