"""What the command line does with a data directory that no service is using."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stepline.errors import InvalidRequest
from stepline_ingest.backup import Manifest, create_backup, restore_backup
from stepline_ingest.http import service_version
from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.errors import StoreError

Progress = Callable[[int, int], None]


def backup(data: Path, target: Path, base: Path | None, progress: Progress) -> Manifest:
    """Raises InvalidRequest."""
    with _said():
        store = EmbeddedStore(data)
        try:
            return create_backup(
                store, target.resolve(), version=service_version(), base=base, progress=progress
            )
        finally:
            store.close()


def restore(source: Path, data: Path, progress: Progress) -> Manifest:
    """Raises InvalidRequest."""
    with _said():
        return restore_backup(source, data.resolve(), progress=progress)


@contextmanager
def _said() -> Iterator[None]:
    """What goes wrong, as the command line tells it."""
    try:
        yield
    except StoreError as error:
        text = str(error)
        if "is in use by process" in text:
            text += "; a service that runs is backed up with `stepline backup --server`"
        raise InvalidRequest(text[0].upper() + text[1:] + ".") from error
