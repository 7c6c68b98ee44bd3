"""What arrives on the gRPC port and is no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from stepline_ingest.errors import ServiceError, invalid


class Malformed:
    """Bytes that could not be parsed. gRPC itself would end the call with UNKNOWN, which clients
    take for a failure that passes, and give the name of a Python class as the reason."""


def tolerant(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """PARSE, which returns Malformed for what it cannot parse."""

    def parsed(data: bytes) -> Any:
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
