"""The guard before every gRPC call."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from stepline_ingest.access.guard import Guard
from stepline_ingest.access.policy import METHODS
from stepline_ingest.errors import ServiceError, abort

log = logging.getLogger(__name__)

_BEARER = "bearer "


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Reads `authorization: Bearer KEY` and asks the guard, before a message is read."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        try:
            # The handler runs in this very task, so it finds its caller.
            await admit(
                self._guard, handler_call_details.method, handler_call_details.invocation_metadata
            )
        except ServiceError as error:
            return _refusal(error)
        return handler


async def admit(guard: Guard, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Asks GUARD for a call of METHOD with METADATA. Raises ServiceError."""
    if method not in METHODS:
        log.error("%s is in no policy and open to nobody", method)
        raise ServiceError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"{method} has no policy: this is a bug of the service, report it",
        )
    await guard.admit(secret_in(metadata), METHODS[method])


def secret_in(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The key in the metadata of a call; None when there is none."""
    for name, value in metadata:
        if name != "authorization" or not isinstance(value, str):
            continue
        if value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip() or None
    return None


def _refusal(error: ServiceError) -> Any:
    """Answers a call of any shape with ERROR."""

    async def refuse(_: Any, context: Any) -> None:
        await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)
