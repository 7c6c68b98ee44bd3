"""stepline.v1.Admin: what an operator asks of a running service."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import grpc

from stepline_ingest.backup import BackupError, check_place, create_backup
from stepline_ingest.errors import ServiceError, abort, invalid, later
from stepline_ingest.gen.stepline.v1 import admin_pb2, admin_pb2_grpc
from stepline_ingest.http import service_version
from stepline_ingest.metrics import Name, metrics
from stepline_ingest.retention import find_months
from stepline_ingest.retention.months import MAX_KEEP, MIN_KEEP
from stepline_ingest.store.contract import Store
from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.errors import StoreError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_REPORT = 0.5
"""Seconds between two messages."""


class _Abandoned(Exception):
    """The caller has gone."""


class AdminService(admin_pb2_grpc.AdminServicer):
    """FOLDER is where backups go, which EXECUTOR makes; None when the service was given none. Other
    questions are for LOOKUPS. Points are kept for KEEP seconds; 0 for ever."""

    def __init__(
        self,
        store: Store,
        folder: Path | None,
        executor: Executor,
        lookups: Executor,
        *,
        keep: int = 0,
    ) -> None:
        self._lookups = lookups
        self._keep = keep
        self._store = store
        self._folder = folder
        self._executor = executor
        self._running = False

    async def Backup(
        self, request: admin_pb2.BackupRequest, context: Any
    ) -> AsyncIterator[admin_pb2.BackupProgress]:
        try:
            async for progress in self._backup(request):
                yield progress
        except ServiceError as error:
            await abort(context, error)
        except BackupError as error:
            code = grpc.StatusCode.FAILED_PRECONDITION
            await abort(context, ServiceError(code, str(error)))
        except StoreError as error:
            await abort(context, later(f"the store fails: {error}; try again later"))

    async def ListMonths(
        self, request: admin_pb2.ListMonthsRequest, context: Any
    ) -> admin_pb2.ListMonthsReply:
        keep = request.keep_seconds or self._keep
        try:
            if 0 < keep < MIN_KEEP:
                raise invalid(f"keep_seconds {keep}: points are kept for at least a day")
            if keep > MAX_KEEP:
                raise invalid(
                    f"keep_seconds {keep}: at most {MAX_KEEP} are possible, or 0 for the service's"
                )
            months = await asyncio.get_running_loop().run_in_executor(
                self._lookups, find_months, self._store
            )
        except ServiceError as error:
            await abort(context, error)
        except StoreError as error:
            await abort(context, later(f"the store fails: {error}; try again later"))
        return admin_pb2.ListMonthsReply(
            keep_seconds=self._keep,
            months=[
                admin_pb2.Month(
                    month=month.number,
                    points=month.points,
                    bytes=month.bytes,
                    kept_bytes=month.kept_bytes,
                    state=month.state,
                    expires_ms=int((month.end + keep) * 1000) if keep else 0,
                )
                for month in months
            ],
        )

    async def _backup(
        self, request: admin_pb2.BackupRequest
    ) -> AsyncIterator[admin_pb2.BackupProgress]:
        store, folder = self._place()
        target = folder / _checked("name", request.name)
        base = folder / _checked("base", request.base) if request.base else None
        if self._running:
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION, "another backup runs: wait for it"
            )
        check_place(folder)
        if target.exists():
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the backup {target.name} is there already: give another name",
            )
        progress = _Progress()
        self._running = True
        work = asyncio.get_running_loop().run_in_executor(
            self._executor,
            lambda: create_backup(
                store, target, version=service_version(), base=base, progress=progress.step
            ),
        )
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_REPORT)
                yield admin_pb2.BackupProgress(done_bytes=progress.done, total_bytes=progress.total)
            manifest = await work
        finally:
            progress.abandoned = True
            await asyncio.gather(work, return_exceptions=True)
            self._running = False
        metrics.set(Name.BACKUP_TIME, time.time())
        yield admin_pb2.BackupProgress(
            done_bytes=manifest.nbytes,
            total_bytes=manifest.nbytes,
            path=str(target),
            created=manifest.created,
        )

    def _place(self) -> tuple[EmbeddedStore, Path]:
        if not isinstance(self._store, EmbeddedStore):
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "this service stores on a ClickHouse server: use that server's BACKUP DATABASE",
            )
        if self._folder is None:
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "this service has no place for backups: start it with --backup-dir DIR",
            )
        return self._store, self._folder


class _Progress:
    """Written by the thread that copies, read by the event loop."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.abandoned = False

    def step(self, done: int, total: int) -> None:
        if self.abandoned:
            raise _Abandoned
        self.done, self.total = done, total


def _checked(field: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"{field} {name[:80]!r}: give 1 to 64 characters of [A-Za-z0-9._-], the first a letter "
            "or a digit"
        )
    return name
