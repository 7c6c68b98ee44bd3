"""The Connect protocol: names of errors, their form, envelopes and headers.

Source: https://connectrpc.com/docs/protocol.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from stepline_ingest.varint import read_varint

VERSION = "1"
VERSION_HEADER = "Connect-Protocol-Version"
TIMEOUT_HEADER = "Connect-Timeout-Ms"
STREAM_ENCODING = "Connect-Content-Encoding"
STREAM_ACCEPTS = "Connect-Accept-Encoding"

UNARY_TYPES = {"application/proto": "proto", "application/json": "json"}
STREAM_TYPES = {"application/connect+proto": "proto", "application/connect+json": "json"}

COMPRESSED, LAST = 0x01, 0x02
"""Flags of an envelope."""
ENVELOPE = struct.Struct(">BI")

_STATUS_DETAILS = "grpc-status-details-bin"

_ERRORS = {
    grpc.StatusCode.CANCELLED: ("canceled", 499),
    grpc.StatusCode.UNKNOWN: ("unknown", 500),
    grpc.StatusCode.INVALID_ARGUMENT: ("invalid_argument", 400),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("deadline_exceeded", 504),
    grpc.StatusCode.NOT_FOUND: ("not_found", 404),
    grpc.StatusCode.ALREADY_EXISTS: ("already_exists", 409),
    grpc.StatusCode.PERMISSION_DENIED: ("permission_denied", 403),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("resource_exhausted", 429),
    grpc.StatusCode.FAILED_PRECONDITION: ("failed_precondition", 400),
    grpc.StatusCode.ABORTED: ("aborted", 409),
    grpc.StatusCode.OUT_OF_RANGE: ("out_of_range", 400),
    grpc.StatusCode.UNIMPLEMENTED: ("unimplemented", 501),
    grpc.StatusCode.INTERNAL: ("internal", 500),
    grpc.StatusCode.UNAVAILABLE: ("unavailable", 503),
    grpc.StatusCode.DATA_LOSS: ("data_loss", 500),
    grpc.StatusCode.UNAUTHENTICATED: ("unauthenticated", 401),
}
"""Code of gRPC -> name in Connect, status in HTTP."""

_NOT_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Metadata that HTTP has a meaning of its own for."""


def http_status(code: grpc.StatusCode) -> int:
    return _ERRORS.get(code, ("unknown", 500))[1]


def error_json(code: grpc.StatusCode, message: str, details: bytes = b"") -> dict[str, Any]:
    """An error as clients read it. DETAILS is a google.rpc.Status, as gRPC carries it."""
    error: dict[str, Any] = {"code": _ERRORS.get(code, ("unknown", 500))[0], "message": message}
    found = [
        {"type": any_.type_url.rpartition("/")[2], "value": unpadded(any_.value)}
        for any_ in _details(details)
    ]
    return error | {"details": found} if found else error


def envelope(payload: bytes, flags: int = 0) -> bytes:
    return ENVELOPE.pack(flags, len(payload)) + payload


def end_of_stream(error: dict[str, Any] | None, metadata: dict[str, list[str]]) -> bytes:
    """The last envelope of every stream."""
    end: dict[str, Any] = {}
    if error is not None:
        end["error"] = error
    if metadata:
        end["metadata"] = metadata
    return envelope(json.dumps(end).encode(), LAST)


def headers_of(metadata: Any) -> Iterator[tuple[str, str]]:
    """What of the METADATA of a call becomes a header: all but what belongs to gRPC or to HTTP."""
    for name, value in metadata or ():
        if name.startswith(("grpc-", ":")) or name in _NOT_HEADERS:
            continue
        yield name, unpadded(value) if isinstance(value, bytes) else value


def details_of(metadata: Any) -> bytes:
    """The google.rpc.Status in the trailing METADATA of a call that failed."""
    return next((value for name, value in metadata or () if name == _STATUS_DETAILS), b"")


def unpadded(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def _details(status: bytes) -> list[AnyMessage]:
    """Field 3 of a google.rpc.Status, whose class lives in a package that nothing else here
    needs."""
    try:
        return [AnyMessage.FromString(field) for number, field in _fields(status) if number == 3]
    except Exception:  # not ours, or damaged: the code and the message say enough
        return []


def _fields(data: bytes) -> Iterable[tuple[int, bytes]]:
    """The length-delimited fields of a message."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        length, at = read_varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7 != 0:
            raise ValueError("a field of an unexpected kind")
