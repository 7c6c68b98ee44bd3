"""The guard before every request of the HTTP and SQL ports."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from aiohttp import web

from stepline_ingest.access.guard import Guard
from stepline_ingest.access.key import Scope
from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import metrics
from stepline_ingest.pace import hold_back

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_CLICKHOUSE_CODES = {401: 516, 403: 497, 503: 210}
"""What ClickHouse's clients know these statuses by."""


def guarded(guard: Guard, scopes: Mapping[str, Scope | None], others: Scope | None) -> Any:
    """A middleware: SCOPES says what a path needs, and OTHERS what the paths need that are not
    there."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await guard.admit(secret_of(request), scopes.get(request.path, others))
        except ServiceError as error:
            metrics.refused(error.refusal)
            await hold_back(error.refusal)
            return refusal(error)
        return await handler(request)

    return middleware


def secret_of(request: web.Request) -> str | None:
    """The key of a request: X-ClickHouse-Key, a bearer token, or the password of basic
    authentication. Never a part of the address, which proxies write to their logs."""
    header = request.headers.get("X-ClickHouse-Key")
    if header:
        return header.strip()
    kind, _, rest = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return rest.strip() or None
    if kind.lower() == "basic":
        try:
            text = base64.b64decode(rest, validate=True).decode()
        except ValueError:  # no base64, or no text
            return None
        return text.partition(":")[2] or None
    return None


def refusal(error: ServiceError) -> web.Response:
    """In the words of ClickHouse, which people read as well."""
    status = _STATUS.get(error.code, 500)
    code = _CLICKHOUSE_CODES.get(status, 1002)
    headers = {"X-ClickHouse-Exception-Code": str(code)}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="stepline: the password is an API key"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return web.Response(
        status=status,
        text=f"Code: {code}. DB::Exception: {error.message}\n",
        headers=headers,
    )
