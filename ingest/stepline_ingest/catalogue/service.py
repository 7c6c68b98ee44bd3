"""stepline.v1.Catalogue: what there is to choose from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from stepline_ingest import access
from stepline_ingest.answering import answered
from stepline_ingest.gen.stepline.v1 import catalogue_pb2, catalogue_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.run_request import check_run_id
from stepline_ingest.searched import check_searched
from stepline_ingest.store.contract import Store

from .changes import read_changes
from .index import FieldIndex
from .keys import read_keys, read_projects
from .known import Scope

MAX_KEYS = 10_000
"""Keys of one reply."""

Result = TypeVar("Result")


class CatalogueService(catalogue_pb2_grpc.CatalogueServicer):
    """RUNS is the RunsRepository; EXECUTOR runs what blocks."""

    def __init__(
        self, store: Store, runs: Any, index: FieldIndex, limits: Limits, executor: Executor
    ) -> None:
        self._store = store
        self._runs = runs
        self._index = index
        self._limits = limits
        self._engine_limits = limits.of_a_query()
        self._executor = executor

    @answered
    async def ListProjects(
        self, request: catalogue_pb2.ListProjectsRequest
    ) -> catalogue_pb2.ListProjectsReply:
        scope = Scope(access.project() or "")
        return await self._blocking(lambda: read_projects(self._store, scope, self._engine_limits))

    @answered
    async def ListRunKeys(
        self, request: catalogue_pb2.ListRunKeysRequest
    ) -> catalogue_pb2.ListRunKeysReply:
        check_searched(self._limits, prefix=request.prefix, search=request.search)
        own = access.project()
        if own is not None and request.project not in ("", own):
            return catalogue_pb2.ListRunKeysReply()
        scope = Scope(request.project if own is None else own)

        def read() -> catalogue_pb2.ListRunKeysReply:
            self._index.flush()
            return read_keys(
                self._store,
                scope,
                self._engine_limits,
                prefix=request.prefix,
                search=request.search,
                limit=min(request.limit or MAX_KEYS, MAX_KEYS),
                offset=request.offset,
            )

        return await self._blocking(read)

    @answered
    async def ListConfigChanges(
        self, request: catalogue_pb2.ListConfigChangesRequest
    ) -> catalogue_pb2.ListConfigChangesReply:
        run_id = check_run_id(request.run_id)
        async with self._runs.lock(run_id):
            await self._runs.require(run_id)
        return await self._blocking(lambda: read_changes(self._store, run_id, self._engine_limits))

    async def _blocking(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
