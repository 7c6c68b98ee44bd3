"""From the key of a request to whose request it is, or to a refusal that names the remedy.

The project of a caller comes from the key and from nothing else. Handlers ask `project()`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Protocol

import grpc

from stepline_ingest.access.key import Key, Scope
from stepline_ingest.access.keyring import KeyRing
from stepline_ingest.errors import ServiceError, later
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import AuthFailure, Refusal, metrics
from stepline_ingest.pace import STRANGERS, Pace

log = logging.getLogger(__name__)

_QUIET = 5.0
"""Seconds between two lines of the log about refused keys: whoever floods the service with keys
must not flood its log."""

_caller: ContextVar[Key | None] = ContextVar("caller", default=None)


def project() -> str | None:
    """The project that the current request is bound to; None when it may see all of them."""
    key = _caller.get()
    return key.project if key is not None and key.scope is not Scope.ADMIN else None


def caller() -> Key | None:
    """The key of the current request; None where no key was asked for."""
    return _caller.get()


class Streams(Protocol):
    """What has streams that were opened with a key."""

    async def recheck(self, check: Callable[[Key], Awaitable[None]]) -> None: ...


class Guard:
    """Asks for keys when it was told to, and as soon as there is one."""

    def __init__(
        self,
        ring: KeyRing | None = None,
        *,
        required: bool,
        pace: Pace | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._ring = ring
        self._required = required
        self._pace = pace if pace is not None else Pace(Limits())
        self._now_ms = now_ms
        self._silent_until = 0.0
        self._unlogged = 0

    def use(self, ring: KeyRing) -> None:
        """The store is open now. Until then only what is public is let in."""
        self._ring = ring

    async def admit(self, secret: str | None, scope: Scope | None) -> None:
        """Lets a request with SECRET do what needs SCOPE (None: nothing), and remembers for its
        handler whose it is.

        Raises ServiceError: UNAUTHENTICATED for a key that is missing, unknown, expired or
        revoked; PERMISSION_DENIED for one with another scope; UNAVAILABLE when nobody can tell.
        """
        _caller.set(None)
        self._pace.answer(None)
        if scope is None:
            return
        ring = self._ring
        if ring is None:
            raise later("the service starts; try again later", refusal=Refusal.STARTING)
        if not (self._required or await ring.any()):
            return
        self._pace.answer(STRANGERS)
        if secret is None:
            raise self._refused(
                AuthFailure.MISSING,
                "this service asks for an API key: set STEPLINE_API_KEY or pass api_key=; "
                "`stepline key create` makes one, and the first one of all with --data while the "
                "service is stopped",
            )
        key = await ring.find(secret)
        if key is None:
            raise self._refused(
                AuthFailure.UNKNOWN,
                "this API key is not known here: check STEPLINE_API_KEY and the address of the "
                "service, or ask for a key made with `stepline key create`",
            )
        self._check_age(key)
        self._pace.answer(None if key.scope is Scope.ADMIN else key.project)
        if not key.allows(scope):
            raise self._refused(
                AuthFailure.SCOPE,
                f"key {key.id} has the scope {key.scope.value} and this call needs {scope.value}: "
                f"use a key made with `stepline key create --scope {scope.value}`",
                code=grpc.StatusCode.PERMISSION_DENIED,
            )
        _caller.set(key)

    async def asks(self) -> bool:
        """Whether calls need a key."""
        try:
            return self._required or (self._ring is not None and await self._ring.any())
        except ServiceError:
            return False  # nobody can tell

    async def recheck(self, key: Key) -> None:
        """Raises ServiceError when KEY, which was good, is good no more."""
        if self._ring is not None:
            self._check_age(await self._ring.current(key) or key)

    async def recheck_streams(self, service: Streams) -> None:
        """Ends those of SERVICE whose key is good no more. Raises nothing: who asks for it again
        and again must not stop, or streams would outlive their keys."""
        try:
            await service.recheck(self.recheck)
        except Exception:
            log.exception("the keys of open streams cannot be checked now")

    def _check_age(self, key: Key) -> None:
        for reason, when in (
            (AuthFailure.REVOKED, key.revoked_ms),
            (AuthFailure.EXPIRED, key.expires_ms),
        ):
            if when is not None and when <= self._now_ms():
                raise self._refused(
                    reason,
                    f"key {key.id} is {reason.value}: use another one, "
                    "made with `stepline key create`",
                )

    def _refused(
        self,
        reason: AuthFailure,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNAUTHENTICATED,
    ) -> ServiceError:
        metrics.auth_failed(reason)
        self._unlogged += 1
        if time.monotonic() >= self._silent_until:
            log.warning("%d calls refused for their key, the last one: %s", self._unlogged, message)
            self._silent_until = time.monotonic() + _QUIET
            self._unlogged = 0
        return ServiceError(code, message)
