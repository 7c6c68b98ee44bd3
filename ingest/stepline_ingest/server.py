"""Puts the service together, starts it, and stops it without losing what it received.

Start: the port of probes, the store with the lock of its directory, the other ports, the ready
line. Stop, in the other direction: health says so, no new batches, what was received is committed
and acknowledged, the ports close, the engine closes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from stepline_ingest import access, grpc_port, live
from stepline_ingest.access import Guard, KeyRing, KeyTables
from stepline_ingest.access.grpc_guard import GuardInterceptor
from stepline_ingest.access.keys_service import KeyMaker, KeysService
from stepline_ingest.access.policy import OTHER_PATHS, OTHER_SQL_PATHS, PATHS, SQL_PATHS
from stepline_ingest.admin import AdminService
from stepline_ingest.budget import Budget
from stepline_ingest.capture import CaptureService, CaptureTables
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.listing import Listing
from stepline_ingest.catalogue.service import CatalogueService
from stepline_ingest.catalogue.summaries import SummaryTable
from stepline_ingest.commit import Committer
from stepline_ingest.config import ServeConfig, address
from stepline_ingest.doctor.service import AuditService
from stepline_ingest.errors import ServiceError, StartupError
from stepline_ingest.fair_threads import FairThreads
from stepline_ingest.forks import Lineages
from stepline_ingest.gateway import Gateway
from stepline_ingest.gen.stepline.v1 import (
    admin_pb2_grpc,
    audit_pb2_grpc,
    capture_pb2_grpc,
    catalogue_pb2_grpc,
    ingest_pb2_grpc,
    keys_pb2_grpc,
    live_pb2_grpc,
    query_pb2_grpc,
    runs_pb2_grpc,
)
from stepline_ingest.http import Pages
from stepline_ingest.http_ports import HttpPorts
from stepline_ingest.leases import Leases
from stepline_ingest.metrics import Refusal
from stepline_ingest.names import NamesRegistry
from stepline_ingest.observation import Observation
from stepline_ingest.pace import Pace
from stepline_ingest.points_repository import PointsRepository
from stepline_ingest.push import IngestService
from stepline_ingest.query import QueryService
from stepline_ingest.query.series import read_extents
from stepline_ingest.readiness import Readiness
from stepline_ingest.retention import Keeper
from stepline_ingest.run_record import RunRecord
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs import RunsService, to_message
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.schema.purge import Purger
from stepline_ingest.session import Pipeline
from stepline_ingest.sql_port import SqlPort
from stepline_ingest.store import Store, StoreError, open_store
from stepline_ingest.tls import Certificates
from stepline_ingest.waiting import WaitingSpools
from stepline_ingest.writers import Writers

log = logging.getLogger(__name__)

CALL_GRACE = 2.0
"""Seconds that calls other than Push get to end, once the streams are drained."""
FORCED_EXIT = 3.5
"""Seconds after the drain until the process ends without waiting for an engine that hangs."""


async def run(config: ServeConfig) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code; raises StartupError when it cannot
    begin."""
    server = Server(config)
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            log.warning("a second signal: the process ends at once", extra={"event": "forced"})
            logging.shutdown()
            os._exit(1)
        stop.set()

    try:
        await server.start()
        # After the engine, which may have set handlers of its own.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signalled)
        _spare_the_collector()
        where = " ".join(f"{name}={place}" for name, place in server.addresses.items())
        sys.stdout.write(f"stepline ready {where}\n")
        sys.stdout.flush()
        server.take_in()
        broken = await server.until(stop)
    finally:
        await server.stop()
    return 1 if broken else 0


def _spare_the_collector() -> None:
    """What is there now lives as long as the process; batches make no cycles. With the defaults of
    Python, looking for some costs a fifth of what the interpreter does for many small batches."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Server:
    """One service: everything that lives as long as the process."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self.addresses: dict[str, str] = {}
        self._store: Store | None = None
        self._committer: Committer | None = None
        self._committing: asyncio.Task[None] | None = None
        self._ingest: IngestService | None = None
        self._hub: live.Hub | None = None
        self._live: live.LiveService | None = None
        self._drained = False
        self._readiness = Readiness()
        self._observation: Observation | None = None
        self._purger: Purger | None = None
        self._keeper: Keeper | None = None
        self._index: FieldIndex | None = None
        self._summaries: SummaryTable | None = None
        self._certificates = Certificates(config.tls) if config.tls is not None else None
        self._pace = Pace(config.limits)
        self._guard = Guard(required=config.keys_required, pace=self._pace)
        self._grpc = grpc_port.new_server(config.limits, GuardInterceptor(self._guard))
        self._rechecking: asyncio.Task[None] | None = None
        self._gateway = Gateway(config.limits, self._guard)
        self._http = HttpPorts(config, self._guard, self._certificates)
        self._taking_in: asyncio.Task[None] | None = None
        # Apart, so that slow queries keep neither commits nor new streams waiting.
        # One stores, one builds the next block, one records rejections.
        self._commits = ThreadPoolExecutor(3, "commit")
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self._lookups = FairThreads(config.limits.lookup_threads, "lookup", tenant=access.project)
        self._queries = FairThreads(config.limits.query_threads, "query", tenant=access.project)
        self._watched = FairThreads(config.limits.live_threads, "live", tenant=live.reading_for)
        self._backups = ThreadPoolExecutor(1, "backup")

    async def start(self) -> None:
        config, limits = self._config, self._config.limits
        loop = asyncio.get_running_loop()
        await self._readiness.start()
        pages = Pages(
            store_kind="chdb" if config.store is None else "clickhouse",
            addresses=lambda: self.addresses,
            readiness=self._readiness,
            gateway=self._gateway,
        )
        # First, so that probes see a service that starts, however long its store takes.
        http = await self._http.listen(
            pages.app(), PATHS, OTHER_PATHS, config.http_port, name="http"
        )
        self._store = store = await loop.run_in_executor(self._lookups, _open_store, config)
        keys = KeyTables(store)
        ring = KeyRing(
            keys,
            self._lookups,
            max_age=limits.key_max_age,
            min_age=limits.key_min_age,
            patience=limits.key_patience,
        )
        self._guard.use(ring)
        points = PointsRepository(store, self._lookups)
        self._index = index = FieldIndex(store)

        def run_stored(run: RunRecord) -> None:
            index.note(run)
            summaries.touch([run.run_id])

        run_tables = SqlRunTables(store, stored=run_stored)
        self._summaries = summaries = SummaryTable(store, run_tables, limits.of_a_query())
        runs = RunsRepository(run_tables, self._lookups, limits)
        budget = Budget(
            limits.max_inflight_bytes,
            per_tenant=limits.max_tenant_bytes,
            max_waiting=limits.max_waiting_bytes,
            patience=limits.room_patience,
        )
        self._hub, self._live = live.build(store, runs, limits, self._watched)
        self._hub.start()
        self._committer = Committer(
            points, limits=limits, executor=self._commits, stored=self._points_stored
        )
        self._committing = self._committer.start()
        committer = self._committer
        await runs.load_deleted()
        listing = Listing(store, run_tables, index, summaries, limits, self._queries, to_message)
        leases = Leases(limits.lease_seconds)
        lineages = Lineages(
            lambda found: read_extents(store, found, limits.of_a_query()), self._lookups
        )
        runs_service = RunsService(
            runs,
            limits,
            lineages=lineages,
            leases=leases,
            forget=self._forget,
            listing=listing,
        )
        await runs_service.attempts.begin()
        self._ingest = IngestService(
            writers=Writers(points.mark, settle_timeout=limits.hello_timeout),
            names=NamesRegistry(points.names, limit=limits.max_metrics_per_run),
            pipeline=Pipeline(
                limits=limits, budget=budget, decoders=self._decoders, submit=self._committer.submit
            ),
            bind=runs_service.bind,
            check=runs_service.check,
        )
        self._purger = Purger(store)
        if config.keep_points:
            self._keeper = Keeper(
                store,
                config.keep_points,
                interval=limits.expiry_interval,
                delay=limits.expiry_delay,
            )
        index.start()
        summaries.start()
        queries = QueryService(store, runs, limits, self._queries)
        admin = AdminService(
            store, config.backup_dir, self._backups, self._lookups, keep=config.keep_points
        )
        audits = AuditService(store, runs, limits, self._queries)
        captures = CaptureService(
            CaptureTables(store), runs, limits, self._lookups, bind=runs_service.bind
        )
        services: tuple[tuple[Any, Any], ...] = (
            (admin_pb2_grpc.add_AdminServicer_to_server, admin),
            (ingest_pb2_grpc.add_IngestServicer_to_server, self._ingest),
            (runs_pb2_grpc.add_RunsServicer_to_server, runs_service),
            (query_pb2_grpc.add_QueryServicer_to_server, queries),
            (live_pb2_grpc.add_LiveServicer_to_server, self._live),
            (
                catalogue_pb2_grpc.add_CatalogueServicer_to_server,
                CatalogueService(store, runs, index, limits, self._queries),
            ),
            (
                keys_pb2_grpc.add_KeysServicer_to_server,
                KeysService(KeyMaker(keys, limits), ring, self._lookups),
            ),
            (audit_pb2_grpc.add_AuditServicer_to_server, audits),
            (capture_pb2_grpc.add_CaptureServicer_to_server, captures),
            (health_pb2_grpc.add_HealthServicer_to_server, self._readiness.servicer),
        )
        for register, service in services:
            register(service, self._grpc)

        credentials = self._certificates.grpc_credentials() if self._certificates else None
        grpc = grpc_port.bind(self._grpc, config.host, config.grpc_port, credentials)
        inner = grpc_port.bind_inner(self._grpc, config.data)
        sql_app = SqlPort(store, self._queries, limits).app()
        sql = await self._http.listen(
            sql_app, SQL_PATHS, OTHER_SQL_PATHS, config.sql_port, name="sql"
        )
        await self._grpc.start()
        self._gateway.use(inner)
        self._rechecking = asyncio.create_task(self._recheck_keys(self._ingest, self._live))
        self.addresses = {
            name: address(config.host, port)
            for name, port in (("grpc", grpc), ("http", http), ("sql", sql))
        }
        await self._readiness.serving(lambda: committer.trouble)
        self._observation = Observation(
            config,
            store=store,
            committer=committer,
            budget=budget,
            ingest=self._ingest,
            watching=self._live,
            readiness=self._readiness,
        )
        log.info(
            "ready: %s, store %s in %s",
            self.addresses,
            store.kind,
            config.data,
            extra={"event": "started", "store": store.kind, **self.addresses},
        )

    def _points_stored(self, run_ids: Iterable[str]) -> None:
        assert self._hub is not None
        assert self._summaries is not None
        told = list(run_ids)
        self._hub.stored(told)
        self._summaries.touch(told)

    async def _forget(self, run_id: str) -> None:
        """A run was deleted: ends its streams and lets its rows be removed."""
        assert self._ingest is not None
        assert self._hub is not None
        assert self._purger is not None
        self._hub.deleted(run_id)
        gone = ServiceError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"run {run_id} was deleted, nothing is stored for it any more: begin another run",
            refusal=Refusal.DELETED,
        )
        try:
            await asyncio.wait_for(
                self._ingest.writers.forget(run_id, gone), self._config.limits.hello_timeout
            )
        except asyncio.TimeoutError:
            log.warning("batches of the deleted run %s are not settled yet", run_id)
        self._purger.soon()

    def take_in(self) -> None:
        """Begins to send what waited on this host for this service."""
        if self._config.take_in and self._config.grpc_port:
            spools = WaitingSpools(self._config.host, self._config.grpc_port)
            self._taking_in = asyncio.create_task(spools.run(), name="waiting-spools")

    async def until(self, stop: asyncio.Event) -> bool:
        """Until STOP is set. True when the service ends by itself because a part of it broke."""
        assert self._committing is not None
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, self._committing}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not self._committing.done():
            return False
        log.critical("the committer has ended", exc_info=self._committing.exception())
        return True

    async def stop(self) -> None:
        """Ends everything that was started, within the drain timeout and a little more."""
        limits = self._config.limits
        last_resort = threading.Timer(limits.drain_timeout + FORCED_EXIT, self._force_exit)
        last_resort.daemon = True
        last_resort.start()
        observed, purger, keeper = self._observation, self._purger, self._keeper
        for helper in (observed, purger, keeper, self._index, self._summaries):
            if helper is not None:
                helper.stop()
        if self._rechecking is not None:
            self._rechecking.cancel()
        if self._taking_in is not None:
            self._taking_in.cancel()
            await asyncio.gather(self._taking_in, return_exceptions=True)
        await self._readiness.draining()
        try:
            await asyncio.wait_for(self._drain(), limits.drain_timeout)
            self._drained = True
        except asyncio.TimeoutError:
            log.warning(
                "batches in flight could not be committed in time; their clients send them again",
                extra={"event": "drain_timeout"},
            )
        if self._hub is not None:
            self._hub.close()
        await self._grpc.stop(grace=CALL_GRACE)
        await self._http.close()
        await self._gateway.close()
        pools = (self._commits, self._decoders, self._lookups, self._queries)
        for pool in (*pools, self._watched, self._backups):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
        await self._readiness.stop()
        if self._drained:  # else a call may hang, and the interpreter would wait for its thread
            last_resort.cancel()
        log.info("stopped", extra={"event": "stopped", "drained": self._drained})
        if not self._drained:
            # A call that hangs would keep the interpreter from ending.
            logging.shutdown()
            os._exit(1)

    async def _recheck_keys(self, *services: IngestService | live.LiveService) -> None:
        """A stream lives for days; the key that opened it may not."""
        while True:
            await asyncio.sleep(self._config.limits.key_max_age)
            for service in services:
                await self._guard.recheck_streams(service)

    async def _drain(self) -> None:
        self._pace.end()
        if self._live is not None:
            self._live.drain()
        if self._ingest is not None:
            await self._ingest.drain()
        if (
            self._committer is not None
            and self._committing is not None
            and not self._committing.done()
        ):
            await self._committer.stop()

    def _force_exit(self) -> None:
        """A query or the engine itself does not end. Everything acknowledged is on
        disk, and what the engine has begun it ends when it is opened again."""
        log.warning(
            "the engine does not close by itself, the process ends without it",
            extra={"event": "forced"},
        )
        logging.shutdown()
        os._exit(0 if self._drained else 1)


def _open_store(config: ServeConfig) -> Store:
    try:
        store = open_store(config.store, config.data)
        store.end_orphans()
        return store
    except StoreError as error:
        raise StartupError(str(error)) from error
