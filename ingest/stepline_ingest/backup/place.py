"""The folder that the backups of a service go to."""

from __future__ import annotations

import os
from pathlib import Path

from .manifest import BackupError


def check_place(folder: Path) -> None:
    """Makes FOLDER when it is not there. Raises BackupError when no backup can be put there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        why = "" if usable else "this user may not read and write there"
    except FileExistsError:
        why = "it is no folder"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise BackupError(
            f"the folder {folder} takes no backups ({why}): give it to the user of the service, or "
            "start the service with another --backup-dir"
        )
