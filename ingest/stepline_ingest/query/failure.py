"""What a failed query is called to who asked."""

from __future__ import annotations

import logging

import grpc

from stepline_ingest.errors import ServiceError, invalid, later
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.store.contract import StoreError
from stepline_ingest.store.errors import without_query

log = logging.getLogger(__name__)

TOO_LONG, TOO_MUCH_MEMORY, TOO_MUCH_DATA = 159, 241, 396
"""ClickHouse's numbers of the errors at the limits of a request."""
READONLY, ACCESS_DENIED = 164, 497
TOO_LONG_LIST, NO_REGEX = 128, 427


def query_failure(error: StoreError, limits: Limits) -> ServiceError:
    """RESOURCE_EXHAUSTED at a limit of a request, INVALID_ARGUMENT for what the engine will never
    take, else "later"."""
    if error.code == TOO_LONG:
        return _over(f"the answer takes longer than the {limits.query_seconds} s of a request")
    if error.code == TOO_MUCH_MEMORY:
        return _over(
            f"the answer takes more than the {limits.query_memory_bytes >> 20} MiB "
            "of memory of a request"
        )
    if error.code == TOO_LONG_LIST:
        return invalid("the engine takes no list as long as one of this request: name fewer")
    if error.code == NO_REGEX:
        return invalid(
            "the engine cannot compile the patterns of this request: use fewer or shorter ones"
        )
    log.warning("a query failed at the store: %s", without_query(error))
    return later(f"the store fails: {error}; try again later")


def refusal_of_query(error: StoreError) -> Refusal:
    """What a failed query of people's SQL counts as. What the store refuses by itself, without a
    number of the engine, is a matter of rights."""
    if error.code in (TOO_LONG, TOO_MUCH_MEMORY, TOO_MUCH_DATA):
        return Refusal.QUERY_LIMIT
    if not error.blames_query:
        return Refusal.STORE_FAILS
    return Refusal.DENIED if error.code in (None, READONLY, ACCESS_DENIED) else Refusal.INVALID


def _over(message: str) -> ServiceError:
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"{message}; ask for a smaller range or fewer series",
        refusal=Refusal.QUERY_LIMIT,
    )
