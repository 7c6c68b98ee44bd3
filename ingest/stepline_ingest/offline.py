"""What the command line does with a data directory that no service is using."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepline.errors import InvalidRequest, sentence
from stepline_ingest.backup import Manifest, create_backup, restore_backup
from stepline_ingest.http import service_version
from stepline_ingest.retention import expire as replace_month
from stepline_ingest.retention import find_months
from stepline_ingest.store import Store, open_store
from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.lock import DirectoryInUse
from stepline_ingest.store.place import holds_store

Progress = Callable[[int, int], None]

_BACKUP = "a service that runs is backed up with `stepline backup --server`; or stop it"
_RESTORE = "wait for that process, or name another folder"
_EXPIRE = (
    "a service that runs replaces points by itself (`stepline serve --keep-points AGE`), and says "
    "with `stepline expire --server HOST:PORT --dry-run` what would go; or stop it"
)


def backup(data: Path, target: Path, base: Path | None, progress: Progress) -> Manifest:
    """Raises InvalidRequest."""
    with _said(_BACKUP):
        _check(data)
        store = EmbeddedStore(data)
        try:
            return create_backup(
                store, target.resolve(), version=service_version(), base=base, progress=progress
            )
        finally:
            store.close()


def restore(source: Path, data: Path, progress: Progress) -> Manifest:
    """Raises InvalidRequest."""
    with _said(_RESTORE):
        return restore_backup(source, data.resolve(), progress=progress)


def expire(data: Path, keep: int) -> None:
    """Replaces the points of DATA that are older than KEEP seconds. Raises InvalidRequest."""
    with _said(_EXPIRE), _opened(data) as store:
        for month in find_months(store):
            if month.is_due(keep, time.time()):
                replace_month(store, month.number)


def months(data: Path, keep: int) -> list[dict[str, Any]]:
    """The fields of each Month of DATA. Raises InvalidRequest."""
    with _said(_EXPIRE), _opened(data) as store:
        return [
            {
                "month": month.number,
                "points": month.points,
                "bytes": month.bytes,
                "kept_bytes": month.kept_bytes,
                "state": month.state,
                "expires_ms": int((month.end + keep) * 1000),
            }
            for month in find_months(store)
        ]


@contextmanager
def _opened(data: Path) -> Iterator[Store]:
    _check(data)
    store = open_store(None, data)
    try:
        yield store
    finally:
        store.close()


def _check(data: Path) -> None:
    if not holds_store(data):
        raise InvalidRequest(f"{data} is no data directory of a service: name one that is.")


@contextmanager
def _said(running: str) -> Iterator[None]:
    """What goes wrong, as the command line tells it; RUNNING is the remedy when another process has
    the directory."""
    try:
        yield
    except DirectoryInUse as error:
        raise InvalidRequest(sentence(f"{error.where}: {running}")) from error
    except StoreError as error:
        raise InvalidRequest(sentence(str(error))) from error
