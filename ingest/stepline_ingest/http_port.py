"""A port that speaks HTTP/1.1, with the bounds that keep strangers from using it up."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from stepline_ingest.limits import KIB, Limits
from stepline_ingest.listening import cannot_listen
from stepline_ingest.metrics import Refusal, metrics

_HEADER_BYTES = 16 * KIB
_HEADERS = 100
_SHUTDOWN = 1.0
"""Seconds that requests get to end when the service stops; the gRPC server has ended its calls by
then."""
_IDLE = 75.0
"""Seconds that a connection is kept between two requests."""
_REFUSALS = {
    404: Refusal.NOT_FOUND,
    405: Refusal.UNSUPPORTED,
    413: Refusal.TOO_LARGE,
}

_FULL = b"too many connections to this port: end some, or try again later\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _NotGarbage(logging.Filter):
    """Whoever floods a port with what is no HTTP must not flood the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log = logging.getLogger("stepline_ingest.http_port")
_log.addFilter(_NotGarbage())


class _Full(asyncio.Protocol):
    """Says that there is no room, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        metrics.refused(Refusal.OVERLOADED)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
            b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(_FULL), _FULL)
        )
        transport.close()


async def write_to(
    request: web.Request, response: web.StreamResponse, data: bytes, limits: Limits
) -> None:
    """Waits for a slow reader, but not for ever: it holds a query of the store."""
    assert request.transport is not None
    patience = asyncio.get_running_loop().call_later(limits.http_stall, request.transport.abort)
    try:
        await response.write(data)
    finally:
        patience.cancel()


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Counts what a handler refuses by an exception of aiohttp, and what nobody foresaw."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        if refused.status >= 400:
            metrics.refused(_REFUSALS.get(refused.status, Refusal.INVALID))
        raise
    except OSError:
        raise  # the reader has gone
    except Exception:
        metrics.refused(Refusal.INTERNAL)
        raise


class HttpPort:
    """Serves one application."""

    def __init__(self, app: web.Application, limits: Limits) -> None:
        self._limits = limits
        app.middlewares.append(_counted)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_SHUTDOWN,
            # A reader that went away ends its query.
            handler_cancellation=True,
            # Bodies are unpacked by whoever knows how large they may be.
            auto_decompress=False,
            keepalive_timeout=_IDLE,
            max_line_size=limits.max_http_line_bytes,
            max_field_size=_HEADER_BYTES,
            max_headers=_HEADERS,
            logger=_log,
        )
        self._server: asyncio.Server | None = None

    async def listen(
        self, host: str, port: int, *, name: str, ssl_context: ssl.SSLContext | None = None
    ) -> int:
        """Over TLS where there is a context; returns the port that it got."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol,
                host.strip("[]"),
                port,
                ssl=ssl_context,
                ssl_handshake_timeout=self._limits.http_patience if ssl_context else None,
                reuse_port=False,
            )
        except OSError as error:
            await self._runner.cleanup()
            raise cannot_listen(host, port, error, option=f"--{name}-port") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= self._limits.max_http_connections:
            return _Full()
        handler: asyncio.Protocol = server()
        return handler
