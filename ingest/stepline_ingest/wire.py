"""What arrives on the gRPC port and is no message, or is larger than its call takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.metrics.reasons import Refusal


class Malformed:
    """Bytes that could not be parsed. gRPC itself would end the call with UNKNOWN, which clients
    take for a failure that passes, and give the name of a Python class as the reason."""

    def refusal(self) -> ServiceError:
        return malformed()


class TooLarge(Malformed):
    """Bytes that were not parsed, as there are more of them than the call takes."""

    def __init__(self, size: int, limit: int) -> None:
        self._size = size
        self._limit = limit

    def refusal(self) -> ServiceError:
        return too_large(self._limit, self._size)


def tolerant(parse: Callable[[bytes], Any], limit: int) -> Callable[[bytes], Any]:
    """PARSE, which returns Malformed for what it cannot parse. More than LIMIT bytes are not
    parsed: small parts take many times their size as objects, and all others wait meanwhile."""

    def parsed(data: bytes) -> Any:
        if len(data) > limit:
            return TooLarge(len(data), limit)
        try:
            return parse(data)
        except DecodeError:
            return Malformed()

    return parsed


def malformed() -> ServiceError:
    return invalid(
        "a message could not be parsed: send what the .proto files of this version say, "
        "uncompressed"
    )


def too_large(limit: int, size: int | None = None) -> ServiceError:
    """The refusal of a message of SIZE bytes, where that is known."""
    told = "more" if size is None else f"{size:,}"
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the message has {told} bytes, this call takes {limit:,}: send less at a time",
        refusal=Refusal.TOO_LARGE,
    )
