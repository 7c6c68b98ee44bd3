"""Methods of gRPC servicers that raise what they refuse."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from stepline_ingest.errors import ServiceError, abort, later
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Reply = TypeVar("Reply")


def answered(
    method: Callable[[Any, Request], Awaitable[Reply]],
) -> Callable[[Any, Request, Any], Awaitable[Reply]]:
    """Turns a method that raises into a method of a gRPC servicer."""

    @functools.wraps(method)
    async def call(self: Any, request: Request, context: Any) -> Reply:
        try:
            return await method(self, request)
        except ServiceError as error:
            await abort(context, error)
        except StoreError as error:
            log.warning("%s: the store fails: %s", method.__name__, error)
            await abort(context, later(f"the store fails: {error}; try again later"))

    return call
