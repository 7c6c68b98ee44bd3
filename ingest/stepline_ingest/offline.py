"""What the command line does with a data directory that no service is using."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepline.errors import InvalidRequest
from stepline_ingest.backup import Manifest, create_backup, restore_backup
from stepline_ingest.http import service_version
from stepline_ingest.retention import expire as replace_month
from stepline_ingest.retention import find_months
from stepline_ingest.store import Store, open_store
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


def expire(data: Path, keep: int) -> None:
    """Replaces the points of DATA that are older than KEEP seconds. Raises InvalidRequest."""
    with _said(), _opened(data) as store:
        for month in find_months(store):
            if month.is_due(keep, time.time()):
                replace_month(store, month.number)


def months(data: Path, keep: int) -> list[dict[str, Any]]:
    """The fields of each Month of DATA. Raises InvalidRequest."""
    with _said(), _opened(data) as store:
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
    store = open_store(None, data)
    try:
        yield store
    finally:
        store.close()


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
