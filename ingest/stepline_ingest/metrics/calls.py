"""Counts every gRPC call by method and code, times queries, and ends in a decent way what nobody
foresaw."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from stepline_ingest.errors import abort, fault
from stepline_ingest.wire import Malformed, malformed, tolerant

from .reasons import QueryKind
from .registry import Metrics

log = logging.getLogger(__name__)

_QUERIES = {
    "Query/ListMetrics": QueryKind.METRICS,
    "Query/History": QueryKind.HISTORY,
    "Query/Export": QueryKind.EXPORT,
    "Query/Chart": QueryKind.CHART,
    "Query/Sql": QueryKind.SQL,
    "Capture/GetContext": QueryKind.CONTEXT,
    "Capture/ReadConsole": QueryKind.CONSOLE,
}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallMeter(grpc.aio.ServerInterceptor):
    """The outermost interceptor, so that what the others refuse is counted too."""

    def __init__(self, metrics: Metrics, *, slow_query: float) -> None:
        self._metrics = metrics
        self._slow_query = slow_query

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None:  # an unknown method; its name is anyone's and becomes no label
            self._metrics.call_ended("unknown", "UNIMPLEMENTED")
            return None
        method = handler_call_details.method.rsplit(".", 1)[-1]
        make, behaviour = _parts(handler)
        wrapped = (
            self._measured_stream(method, behaviour)
            if inspect.isasyncgenfunction(behaviour)
            else self._measured(method, behaviour)
        )
        parse = handler.request_deserializer
        return make(wrapped, parse and tolerant(parse), handler.response_serializer)

    def _measured(
        self, method: str, behaviour: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> Any:
            begun = time.monotonic()
            code = None
            try:
                await _check(request, context)
                return await behaviour(request, context)
            except BaseException as error:
                code = _code_of(error, context)
                await _tell(error, method, context)
                raise
            finally:
                self._ended(method, code or _code_of(None, context), begun, request)

        return call

    def _measured_stream(
        self, method: str, behaviour: Callable[..., AsyncIterator[Any]]
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            begun = time.monotonic()
            code = None
            try:
                await _check(request, context)
                async for reply in behaviour(request, context):
                    yield reply
            except BaseException as error:
                code = _code_of(error, context)
                await _tell(error, method, context)
                raise
            finally:
                self._ended(method, code or _code_of(None, context), begun, request)

        return call

    def _ended(self, method: str, code: str, begun: float, request: Any) -> None:
        self._metrics.call_ended(method, code)
        kind = _QUERIES.get(method)
        if kind is None:
            return
        seconds = time.monotonic() - begun
        self._metrics.queried(kind, seconds)
        if seconds >= self._slow_query:
            log.warning(
                "a %s query took %.1f s (%s)",
                kind.value,
                seconds,
                code,
                extra={
                    "event": "slow_query",
                    "kind": kind.value,
                    "seconds": round(seconds, 3),
                    "code": code,
                    "run": _run_of(request),
                },
            )


def _parts(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How to make a handler like HANDLER, and what it calls."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, handler.stream_stream
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary


async def _check(request: Any, context: Any) -> None:
    if isinstance(request, Malformed):
        await abort(context, malformed())


async def _tell(error: BaseException, method: str, context: Any) -> None:
    """Ends the call with INTERNAL when ERROR is a fault of the service: gRPC would give its text,
    which is about the inside, to the caller."""
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.BaseError):
        return  # told already, or nobody is there to be told
    log.error("%s ends in an unforeseen way", method, exc_info=error)
    await abort(context, fault(method))


def _code_of(error: BaseException | None, context: Any) -> str:
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "CANCELLED"
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code or 0
    if error is not None and not number:
        return "INTERNAL"
    return _CODES.get(number, "UNKNOWN")


def _run_of(request: Any) -> str:
    runs = getattr(request, "run_ids", None) or [getattr(request, "run_id", "")]
    return ",".join(list(runs)[:3])
