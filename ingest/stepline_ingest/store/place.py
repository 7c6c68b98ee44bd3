"""Whether a directory is one that an embedded store lives in."""

from __future__ import annotations

from pathlib import Path

from .errors import unusable


def holds_store(directory: Path) -> bool:
    """Raises StoreError when this user may not look."""
    try:
        return (directory / "chdb").is_dir()
    except OSError as error:
        raise unusable(directory, error) from error
