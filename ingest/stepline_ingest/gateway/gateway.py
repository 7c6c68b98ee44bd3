"""Makes the calls, and answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import grpc
from aiohttp import web

from stepline_ingest import access
from stepline_ingest.access.grpc_guard import admit
from stepline_ingest.errors import ServiceError, later
from stepline_ingest.fair_threads import FairThreads
from stepline_ingest.http_port import write_to
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal, metrics
from stepline_ingest.pace import hold_back

from . import codec, wire
from .methods import Method, all_methods
from .request import Asked, Room, encoding_of, passed_on, read

_SMALL = 16 << 10
"""Bytes up to which a message is converted on the event loop; a thread costs more."""
_WORTH_PACKING = 1 << 10
_NO_STORE = {"Cache-Control": "no-store"}
_REVALIDATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
_PREFIX = "/stepline."


class Gateway:
    """All methods of proto/, for `add_routes` of an HTTP application.

    GUARD is that of the gRPC server, which asks it again: it is asked here as well, so that nothing
    is read and parsed for who may not make the call.
    """

    def __init__(self, limits: Limits, guard: access.Guard) -> None:
        self._limits = limits
        self._guard = guard
        self._channel: grpc.aio.Channel | None = None
        self._room = Room(limits)
        self._open = 0
        # Few: what parses JSON holds the interpreter, and takes many times its size.
        self._threads = FairThreads(limits.gateway_threads, "gateway", tenant=access.project)
        self.methods = {method.path: method for method in all_methods()}

    def add_routes(self, app: web.Application) -> None:
        for path, method in self.methods.items():
            app.router.add_route("*", path, self._handler(method))
        app.router.add_route("*", _PREFIX + "{rest:.*}", self._unknown)

    def use(self, target: str) -> None:
        """The gRPC server listens at TARGET now. Until then calls are told to come later."""
        self._channel = grpc.aio.insecure_channel(
            target,
            options=(
                ("grpc.max_receive_message_length", self._limits.max_http_reply_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.enable_retries", 0),
            ),
        )

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _handler(self, method: Method) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, method)

        return handle

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return _failure(
            ServiceError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{request.path[:200]} is no method of this service: their names are in proto/",
            ),
            status=404,
        )

    async def _handle(self, request: web.Request, method: Method) -> web.StreamResponse:
        if method.takes_stream:
            return _failure(
                ServiceError(
                    grpc.StatusCode.UNIMPLEMENTED,
                    f"{method.path} takes a stream, which HTTP/1.1 cannot carry beside its answer: "
                    "use the gRPC port",
                )
            )
        allowed = ("GET", "POST") if method.only_reads else ("POST",)
        if request.method not in allowed:
            return _failure(
                ServiceError(
                    grpc.StatusCode.UNIMPLEMENTED,
                    f"{method.path} takes no {request.method}: use {' or '.join(allowed)}",
                ),
                status=405,
                headers={"Allow": ", ".join(allowed)},
            )
        encoding = encoding_of(request, method)
        if encoding not in ("proto", "json"):
            return _unsupported(request, method)
        try:
            if self._channel is None:
                raise later("the service starts; try again later", refusal=Refusal.STARTING)
            await admit(self._guard, method.path, passed_on(request))
            return await self._answered(request, self._channel, method, encoding)
        except ServiceError as error:
            refused = error
        # It keeps the frames that had the body.
        refused.__traceback__ = refused.__context__ = refused.__cause__ = None
        await hold_back(refused.refusal)
        return _failed_stream(refused, encoding) if method.gives_stream else _failure(refused)

    async def _answered(
        self, request: web.Request, channel: grpc.aio.Channel, method: Method, encoding: str
    ) -> web.StreamResponse:
        if self._open >= self._limits.max_http_calls:
            raise later("too many calls at a time; try again later", refusal=Refusal.OVERLOADED)
        self._open += 1
        try:
            asked = await read(request, method, encoding, self._limits, self._room)
            message = asked.message
            if encoding == "json":
                message = await self._threaded(
                    len(message), lambda: codec.to_bytes(method.request, asked.message)
                )
            answer = self._stream if method.gives_stream else self._unary
            return await answer(request, channel, asked, message)
        finally:
            self._open -= 1

    async def _unary(
        self, request: web.Request, channel: grpc.aio.Channel, asked: Asked, message: bytes
    ) -> web.StreamResponse:
        method = asked.method
        stub: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method.path)
        call = stub(message, metadata=asked.metadata, timeout=asked.timeout)
        try:
            reply = await call
        except grpc.aio.AioRpcError as error:
            return _error_of(error)
        finally:
            call.cancel()
        metadata = await call.initial_metadata()
        headers = {**_NO_STORE, **dict(wire.headers_of(metadata))}
        for name, value in wire.headers_of(await call.trailing_metadata()):
            headers[f"Trailer-{name}"] = value
        body = await self._encoded(asked, reply)
        if asked.is_get:
            headers |= _REVALIDATE
            headers.setdefault("ETag", _digest(asked.encoding, body))
            if _matches(asked.if_none_match, headers["ETag"]):
                return web.Response(status=304, headers=headers)
        headers["Content-Type"] = f"application/{asked.encoding}"
        if asked.gzip and len(body) >= _WORTH_PACKING:
            body = await self._packed(body)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _stream(
        self, request: web.Request, channel: grpc.aio.Channel, asked: Asked, message: bytes
    ) -> web.StreamResponse:
        method = asked.method
        stub: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method.path)
        call = stub(message, metadata=asked.metadata, timeout=asked.timeout)
        try:
            metadata = dict(wire.headers_of(await call.initial_metadata()))
            headers = {**(_REVALIDATE if asked.is_get else _NO_STORE), **metadata}
            if "etag" in metadata and _matches(asked.if_none_match, metadata["etag"]):
                return web.Response(status=304, headers=headers)
            headers["Content-Type"] = f"application/connect+{asked.encoding}"
            if asked.gzip:
                headers[wire.STREAM_ENCODING] = "gzip"
            replies = aiter(call)
            error: dict[str, Any] | None = None
            first = None
            if asked.is_get:
                # What fails at once must not be kept by a cache.
                try:
                    first = await anext(replies, None)
                except grpc.aio.AioRpcError as failed:
                    error = _json_of(failed)
                    headers |= _NO_STORE
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            try:
                if first is not None:
                    await write_to(
                        request, response, await self._enveloped(asked, first), self._limits
                    )
                if error is None:
                    async for reply in replies:
                        await write_to(
                            request, response, await self._enveloped(asked, reply), self._limits
                        )
            except grpc.aio.AioRpcError as failed:
                error = _json_of(failed)
            trailers: dict[str, list[str]] = {}
            for name, value in wire.headers_of(await call.trailing_metadata()):
                trailers.setdefault(name, []).append(value)
            await write_to(request, response, wire.end_of_stream(error, trailers), self._limits)
            if error is not None and first is not None and "etag" in metadata:
                # Without the end that HTTP asks for, so that no cache keeps a part of it.
                request.protocol.force_close()
                return response
            await response.write_eof()
            return response
        finally:
            # Its reader is gone, or all was read: then this does nothing.
            call.cancel()

    async def _enveloped(self, asked: Asked, reply: bytes) -> bytes:
        body = await self._encoded(asked, reply)
        if not asked.gzip or len(body) < _WORTH_PACKING:
            return wire.envelope(body)
        return wire.envelope(await self._packed(body), wire.COMPRESSED)

    async def _encoded(self, asked: Asked, reply: bytes) -> bytes:
        if asked.encoding == "proto":
            return reply
        kind = asked.method.reply
        return await self._threaded(len(reply), lambda: codec.to_json(kind, reply))

    async def _packed(self, body: bytes) -> bytes:
        return await self._threaded(len(body), lambda: codec.gzipped(body))

    async def _threaded(self, size: int, convert: Callable[[], bytes]) -> bytes:
        """CONVERT(), in a thread when what it converts is large; projects take turns there."""
        if size <= _SMALL:
            return convert()
        return await asyncio.get_running_loop().run_in_executor(self._threads, convert)


def _digest(encoding: str, body: bytes) -> str:
    return f'"{encoding}-{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _matches(header: str | None, etag: str) -> bool:
    """Whether the If-None-Match of a request names ETAG; weak and strong ones are the same here."""
    if header is None:
        return False
    return header.strip() == "*" or etag.removeprefix("W/") in (
        name.strip().removeprefix("W/") for name in header.split(",")
    )


def _json_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    details = wire.details_of(error.trailing_metadata())
    return wire.error_json(error.code(), error.details() or "", details)


def _error_of(error: grpc.aio.AioRpcError) -> web.Response:
    headers = {}
    for name, value in wire.headers_of(error.trailing_metadata()):
        headers[f"Trailer-{name}"] = value
    return _json_response(_json_of(error), wire.http_status(error.code()), headers)


def _json_response(body: Any, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={**_NO_STORE, "Content-Type": "application/json", **headers},
    )


def _failure(
    error: ServiceError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """What the gateway itself refuses of a call that answers with one message. It is counted, as
    `errors.abort` counts what the gRPC server refuses."""
    metrics.refused(error.refusal)
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    body = wire.error_json(error.code, error.message, _status_of(error))
    return _json_response(body, status or wire.http_status(error.code), headers)


def _failed_stream(error: ServiceError, encoding: str) -> web.Response:
    """The same of a call that answers with a stream: errors are its last envelope."""
    metrics.refused(error.refusal)
    body = wire.error_json(error.code, error.message, _status_of(error))
    return web.Response(
        body=wire.end_of_stream(body, {}),
        headers={"Content-Type": f"application/connect+{encoding}", **_NO_STORE},
    )


def _status_of(error: ServiceError) -> bytes:
    return wire.details_of(error.trailing_metadata())


def _unsupported(request: web.Request, method: Method) -> web.Response:
    types = wire.STREAM_TYPES if method.gives_stream else wire.UNARY_TYPES
    if request.method == "GET":
        return _failure(
            ServiceError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "the parameter encoding is neither json nor proto: give one of them",
            )
        )
    accepted = ", ".join(types)
    metrics.refused(Refusal.UNSUPPORTED)
    return web.Response(
        status=415,
        text=f"{method.path} does not take this content type: use one of {accepted}\n",
        headers={"Accept-Post": accepted, **_NO_STORE},
    )
