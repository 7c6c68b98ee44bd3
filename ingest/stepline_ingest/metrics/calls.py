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

from stepline_ingest.errors import Refusing, abort, fault, invalid, tell, tell_outside
from stepline_ingest.limits import Limits
from stepline_ingest.wire import Malformed, tolerant

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
_GOODBYE = 0.1
_SHOWN = 80
"""Letters of a run id in the log."""
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallMeter(grpc.aio.ServerInterceptor):
    """The outermost interceptor, so that what the others refuse is counted too.

    It takes the one request of a call from the wire itself, as gRPC's own handlers keep it until
    the call has ended, and that of a refused call would wait with it for its turn to be told.
    """

    def __init__(self, metrics: Metrics, limits: Limits) -> None:
        self._metrics = metrics
        self._limits = limits

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
        limit = self._limits.of_a_request(handler_call_details.method)
        make, behaviour = _parts(handler)
        measured = (
            self._measured_stream if inspect.isasyncgenfunction(behaviour) else self._measured
        )
        parse = handler.request_deserializer
        return make(
            measured(method, behaviour, one=not handler.request_streaming),
            parse and tolerant(parse, limit),
            handler.response_serializer,
        )

    def _measured(
        self, method: str, behaviour: Callable[..., Awaitable[Any]], *, one: bool
    ) -> Callable[..., Any]:
        """ONE: it takes one request."""

        async def call(requests: Any, context: Any) -> Any:
            begun, run, code = None, "", None
            try:
                try:
                    request = await _taken(context) if one else requests
                    begun = time.monotonic()
                    run = _run_of(request)
                    replying = behaviour(request, context)
                    del request
                    return await replying
                except Refusing as refusing:
                    refused = refusing.error
                await tell(context, refused)
            except BaseException as error:
                code = _code_of(error, context)
                await _tell(error, method, context)
                raise
            finally:
                self._ended(method, code or _code_of(None, context), begun, run)

        return call

    def _measured_stream(
        self, method: str, behaviour: Callable[..., AsyncIterator[Any]], *, one: bool
    ) -> Callable[..., AsyncIterator[Any]]:
        """ONE: it takes one request."""

        async def call(requests: Any, context: Any) -> AsyncIterator[Any]:
            begun, run, code = None, "", None
            try:
                try:
                    request = await _taken(context) if one else requests
                    begun = time.monotonic()
                    run = _run_of(request)
                    replies = behaviour(request, context)
                    del request
                    async for reply in replies:
                        yield reply
                    return
                except Refusing as refusing:
                    refused = refusing.error
                await tell(context, refused)
            except BaseException as error:
                code = _code_of(error, context)
                await _tell(error, method, context)
                raise
            finally:
                self._ended(method, code or _code_of(None, context), begun, run)

        return call

    def _ended(self, method: str, code: str, begun: float | None, run: str) -> None:
        """BEGUN: when its request was there, by the monotonic clock; None when it never was."""
        self._metrics.call_ended(method, code)
        kind = _QUERIES.get(method)
        if kind is None or begun is None:
            return
        seconds = time.monotonic() - begun
        self._metrics.queried(kind, seconds)
        if seconds >= self._limits.slow_query_seconds:
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
                    "run": run,
                },
            )


def _parts(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How to make a handler that answers like HANDLER and takes its requests from the wire, and
    what HANDLER calls."""
    if handler.response_streaming:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        return grpc.stream_stream_rpc_method_handler, behaviour
    behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
    return grpc.stream_unary_rpc_method_handler, behaviour


async def _taken(context: Any) -> Any:
    """The request of a call that has one."""
    tell_outside()
    request = await context.read()
    if request is grpc.aio.EOF:
        await asyncio.sleep(_GOODBYE)  # who was hung up on is cancelled, and refused nothing
        await abort(context, invalid("the call has no message: send one, it may be empty"))
    if isinstance(request, Malformed):
        await abort(context, request.refusal())
    return request


async def _tell(error: BaseException, method: str, context: Any) -> None:
    """Ends the call with INTERNAL when ERROR is a fault of the service: gRPC would give its text,
    which is about the inside, to the caller."""
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.BaseError):
        return  # told already, or nobody is there to be told
    log.error("%s ends in an unforeseen way", method, exc_info=error)
    await tell(context, fault(method))


def _code_of(error: BaseException | None, context: Any) -> str:
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "CANCELLED"
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code or 0
    if error is not None and not number:
        return "INTERNAL"
    return _CODES.get(number, "UNKNOWN")


def _run_of(request: Any) -> str:
    """The run that is asked about, or the first of them; cut, as it is kept while a refusal is held
    back."""
    runs = getattr(request, "run_ids", None) or [getattr(request, "run_id", "")]
    return ",".join(run[:_SHOWN] for run in runs[:3])
