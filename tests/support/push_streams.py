"""Services with a Push port and a store in memory, and streams as a client sees them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.push import IngestService
from stepline_ingest.writers import Binding
from tests.support.memory_store import MemoryStore
from tests.support.writers import (
    FAST,
    Process,
)

DEADLINE = 30


@dataclass
class Running:
    """One life of the service with a port."""

    process: Process
    service: IngestService
    stub: Any
    address: str

    @property
    def store(self) -> MemoryStore:
        return self.process.store


Start = Callable[..., Any]


@contextlib.asynccontextmanager
async def services() -> AsyncIterator[Start]:
    """Starts services; ends them with the block."""
    stack: list[tuple[grpc.aio.Server, grpc.aio.Channel, Process]] = []

    async def run(store: MemoryStore | None = None, limits: Limits = FAST) -> Running:
        process = Process(store or MemoryStore(), limits)
        await process.__aenter__()
        service = IngestService(
            writers=process.writers, names=process.names, pipeline=process.pipeline, bind=_bind
        )
        server = grpc.aio.server()
        ingest_pb2_grpc.add_IngestServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        address = f"127.0.0.1:{port}"
        channel = grpc.aio.insecure_channel(address)
        stack.append((server, channel, process))
        return Running(process, service, ingest_pb2_grpc.IngestStub(channel), address)

    yield run
    for server, channel, process in stack:
        await channel.close()
        await server.stop(0.1)
        process.store.before.clear()
        await process.__aexit__()


async def _bind(hello: ingest_pb2.Hello) -> Binding:
    return Binding(
        writer=hello.writer,
        run_id=hello.run_id,
        run=_core.siphash64(hello.run_id),
        attempt=hello.attempt,
        rank=hello.rank,
    )


class Ended(Exception):
    """The service has ended the stream."""


class Client:
    """One stream, as a client sees it."""

    def __init__(self, running: Running) -> None:
        self._call = running.stub.Push()

    async def hello(self, place: Binding, *, epoch: int = 1, **fields: Any) -> ingest_pb2.Welcome:
        await self.write(
            hello=ingest_pb2.Hello(
                writer=place.writer,
                run_id=place.run_id,
                attempt=place.attempt,
                rank=place.rank,
                epoch=epoch,
                **fields,
            )
        )
        return (await self.read()).welcome

    async def write(self, **kind: Any) -> None:
        try:
            await asyncio.wait_for(self._call.write(ingest_pb2.PushRequest(**kind)), DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.details()) from error

    async def send(self, *batches: ingest_pb2.Batch) -> None:
        for batch in batches:
            await self.write(batch=batch)

    async def read(self) -> ingest_pb2.PushReply:
        try:
            reply = await asyncio.wait_for(self._call.read(), DEADLINE)
        except grpc.aio.AioRpcError as error:
            raise Ended(error.details()) from error
        if reply is grpc.aio.EOF:
            raise Ended("the service has said all")
        return reply

    async def acked(self, seq: int) -> None:
        """Reads until everything up to SEQ is acknowledged."""
        while (await self.read()).ack.committed_seq < seq:
            pass

    async def close(self) -> None:
        """Says that nothing more will come, and reads what is still said."""
        await self._call.done_writing()
        while await asyncio.wait_for(self._call.read(), DEADLINE) is not grpc.aio.EOF:
            pass
        assert await self._call.code() is grpc.StatusCode.OK, await self._call.details()

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        """Reads until the service ends the stream."""
        with contextlib.suppress(Ended):
            while True:
                await self.read()
        code = await asyncio.wait_for(self._call.code(), DEADLINE)
        return code, await self._call.details()

    async def retry_info(self) -> bytes:
        metadata = dict(await self._call.trailing_metadata())
        return metadata.get("grpc-status-details-bin", b"")

    def cancel(self) -> None:
        self._call.cancel()
