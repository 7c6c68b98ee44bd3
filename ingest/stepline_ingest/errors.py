"""The one error of the service's outer layer: what a client is told, as a gRPC status."""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar
from typing import NoReturn, Protocol

import grpc
from google.protobuf import any_pb2, duration_pb2

from stepline_ingest.metrics import Refusal, metrics
from stepline_ingest.metrics.reasons import refusal_of
from stepline_ingest.pace import hold_back
from stepline_ingest.varint import varint

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_STATUS_DETAILS = "grpc-status-details-bin"
_UNTIL_TOLD = 1.0
"""Seconds after which nobody looks at the exception of a call that was ended."""


class ServiceError(Exception):
    """A status for the client: code, message and, for "later", after how many seconds.

    The message ends with what to do. An error with `retry_after` means later; UNAVAILABLE always
    does. Every other code without it means never: the same request will fail again.

    `refusal` is what the metrics count it as.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        retry_after: float | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.refusal = refusal or refusal_of(code)

    @property
    def is_retryable(self) -> bool:
        return self.code is grpc.StatusCode.UNAVAILABLE or self.retry_after is not None

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """RetryInfo in the form that every gRPC client library knows; empty when there is none."""
        if self.retry_after is None:
            return ()
        return ((_STATUS_DETAILS, _rpc_status(self.code, self.message, self.retry_after)),)


class StartupError(Exception):
    """The service cannot start. One line for the operator, with the remedy."""


class UsageError(StartupError):
    """It was told what makes no sense: to start it again changes nothing."""


def invalid(message: str, *, refusal: Refusal | None = None) -> ServiceError:
    return ServiceError(grpc.StatusCode.INVALID_ARGUMENT, message, refusal=refusal)


def later(
    message: str, *, after: float = 1.0, refusal: Refusal = Refusal.STORE_FAILS
) -> ServiceError:
    """UNAVAILABLE with RetryInfo. The delay is spread, so that a thousand clients do not come back
    in one instant."""
    return ServiceError(
        grpc.StatusCode.UNAVAILABLE,
        message,
        retry_after=after * random.uniform(0.5, 1.5),
        refusal=refusal,
    )


def fault(what: str) -> ServiceError:
    """INTERNAL. What went wrong is about the inside of the service: its log has it, the caller gets
    no word of it."""
    return ServiceError(
        grpc.StatusCode.INTERNAL,
        f"a fault of the service ended {what}: its log has more, report it with that",
    )


class AbortableContext(Protocol):
    """The part of grpc.aio.ServicerContext that ends a call."""

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: tuple[tuple[str, bytes], ...] = (),
    ) -> NoReturn: ...


class Refusing(Exception):
    """Takes ERROR out of all that keeps the request of a call, to be told by `tell`."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(str(error))
        self.error = error


_told_outside: ContextVar[bool] = ContextVar("told_outside", default=False)


def tell_outside() -> None:
    """`abort` raises Refusing in the current call from now on: a request may have megabytes, and
    must not be kept while its refusal is held back."""
    _told_outside.set(True)


async def abort(
    context: AbortableContext, error: ServiceError, *, refusals: int = 1, on_stream: bool = False
) -> NoReturn:
    """Ends the call with the status of ERROR, counts it, and tells it at the pace of the caller, as
    one of REFUSALS. ON_STREAM: the caller has heard the Welcome of a stream."""
    if _told_outside.get():
        raise Refusing(error)
    await tell(context, error, refusals=refusals, on_stream=on_stream)


async def tell(
    context: AbortableContext, error: ServiceError, *, refusals: int = 1, on_stream: bool = False
) -> NoReturn:
    """What `abort` does, at once where it is called."""
    metrics.refused(error.refusal)
    # They keep the frames that it came through, and those the request.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    await hold_back(error.refusal, refusals, on_stream=on_stream)
    # HTTP/2 carries the message in a header; a novel there would be refused by the other side.
    try:
        await context.abort(error.code, error.message[:4096], error.trailing_metadata())
    except Exception as aborted:
        asyncio.get_running_loop().call_later(_UNTIL_TOLD, _forget, aborted)
        raise
    raise AssertionError("abort returned")


def _forget(aborted: Exception) -> None:
    """Lets go of the frames of a call that was ended. gRPC keeps the exception in the state of the
    call, which those frames keep, and the request with it, until the collector looks for cycles:
    that is seldom, and a request may have megabytes."""
    aborted.__traceback__ = aborted.__context__ = None


def _rpc_status(code: grpc.StatusCode, message: str, delay: float) -> bytes:
    """google.rpc.Status{code = 1, message = 2, details = 3}, written by hand: the message classes
    live in a package that nothing else here needs."""
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(delay * 1e9))
    retry_info = _field(1, duration.SerializeToString())
    detail = any_pb2.Any(type_url=_RETRY_INFO, value=retry_info)
    number = code.value[0]
    return (
        b"\x08"
        + varint(number)
        + _field(2, message[:1024].encode())
        + _field(3, detail.SerializeToString())
    )


def _field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload
