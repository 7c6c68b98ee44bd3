"""Which web pages may speak to the HTTP ports: those that came from the same port.

A browser on this host reaches a service on loopback for any page it shows. Two rules keep pages of
strangers out, of which the second one matters while no key is asked for:

- The page of another origin is refused by what browsers say about it (Origin, Sec-Fetch-Site). No
  answer permits other origins (CORS), so nothing could be read either.
- The name in Host must be one that a stranger's name server cannot point here (DNS rebinding):
  an address, localhost, a name without a dot, the name that the service listens on, or one that
  --allow-host gave.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Set
from typing import Any
from urllib.parse import urlsplit

import grpc
from aiohttp import web

from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import metrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[ServiceError], web.Response]


def same_origin(
    hosts: Set[str],
    *,
    open_paths: Set[str],
    asks_for_keys: Callable[[], Awaitable[bool]],
    refuse: Refuse,
) -> Any:
    """A middleware. HOSTS are names that are this service's; OPEN_PATHS are for probes and scrapers
    and tell nothing; REFUSE words a refusal."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        complaint = _foreign_page(request)
        if complaint is None and not await asks_for_keys():
            complaint = _foreign_name(request, hosts)
        if complaint is None:
            return await handler(request)
        error = ServiceError(grpc.StatusCode.PERMISSION_DENIED, complaint)
        metrics.refused(error.refusal)
        return refuse(error)

    return middleware


def _foreign_page(request: web.Request) -> str | None:
    """What is wrong with the page that asks."""
    origin = request.headers.get("Origin")
    if origin is not None:
        if _authority(origin) == request.headers.get("Host", "").lower():
            return None
        return (
            f"a page of {origin[:100]!r} may not speak to this service: open the page that the "
            "service itself gives, or let a proxy keep the header Host"
        )
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
    if navigates and request.method == "GET":
        return None  # a link to the page
    if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return None
    return "a page of another origin may not speak to this service"


def _foreign_name(request: web.Request, hosts: Set[str]) -> str | None:
    """What is wrong with the name by which the service is called."""
    given = request.headers.get("Host")
    if given is None:  # HTTP/1.0; no browser speaks it
        return None
    name = hostname(given)
    if name is not None and (name in hosts or is_harmless(name)):
        return None
    return (
        f"{given[:100]!r} is no name that this service knows as its own: use its address, start it "
        "with --allow-host NAME, or make a key with `stepline key create`"
    )


def is_harmless(name: str) -> bool:
    """Whether nobody outside decides where NAME leads."""
    if "." not in name or name.endswith(".localhost"):
        return True  # IPv6 addresses included
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def hostname(host: str) -> str | None:
    """The name in a header Host, without its port; None for garbage."""
    try:
        found = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return found.removesuffix(".") if found else None


def _authority(origin: str) -> str | None:
    """HOST:PORT of an origin as browsers write it; None for garbage and for `null`."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None
