"""Backup and restore of an embedded store. docs/operations.md is the runbook.

A backup is a folder: `manifest.json`, which is written last and says what belongs to it, and
`data/TABLE/PART/FILE`, the files of the engine's parts as they were at one instant.

manifest   what a complete backup says of itself
copying    files with their checksums, linked from an earlier backup where they are the same
place      the folder that the backups of a service go to
create     from a store to a backup, while it is being written to
restore    from a backup to a new data directory
"""

from .create import create_backup
from .manifest import BackupError, Manifest, read_manifest
from .place import check_place
from .restore import restore_backup

__all__ = [
    "BackupError",
    "Manifest",
    "check_place",
    "create_backup",
    "read_manifest",
    "restore_backup",
]
