"""From an HTTP request to the bytes of a message, or to a refusal. Sizes are looked at before
anything is unpacked or parsed."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from aiohttp import web

from stepline_ingest.errors import ServiceError, invalid, later
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.wire import too_large

from . import codec, wire
from .methods import Method

_PASSED_ON = ("authorization", "if-none-match")
"""Headers of a request that the gRPC server gets to see."""
_GZIP, _PLAIN = "gzip", "identity"
_MAX_TIMEOUT_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for."""

    method: Method
    encoding: str
    """ "proto" or "json", of the request and of the answer."""
    message: bytes
    """As it came, unpacked."""
    timeout: float | None
    """Seconds."""
    metadata: tuple[tuple[str, str], ...]
    gzip: bool
    """Whether the answer may be packed."""
    if_none_match: str | None
    is_get: bool


class Room:
    """The memory that bodies of requests may take together. Lives on the event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_http_body_bytes
        self._used = 0

    def take(self, amount: int) -> None:
        """Raises ServiceError when there is no room; RELEASE what was taken in either case."""
        self._used += amount
        if self._used > self._limit:
            raise later(
                "too many large requests at a time: try again later", refusal=Refusal.OVERLOADED
            )

    def release(self, amount: int) -> None:
        self._used -= amount


def encoding_of(request: web.Request, method: Method) -> str | None:
    """ "proto" or "json"; None when the type of the content is not one for METHOD."""
    if request.method == "GET":
        # The answer of a GET has the type of a POST with that encoding.
        return request.query.get("encoding", "")
    types = wire.STREAM_TYPES if method.gives_stream else wire.UNARY_TYPES
    return types.get(request.content_type)


async def read(
    request: web.Request, method: Method, encoding: str, limits: Limits, room: Room
) -> Asked:
    """What REQUEST asks METHOD. Raises ServiceError for garbage and for what is too large."""
    timeout = _timeout(request)
    limit = _largest(method, encoding, limits)
    if request.method == "GET":
        message = _message_of_query(request, limit)
    else:
        message = await _body(request, limit, limits.http_patience, room)
        if method.gives_stream:
            message = _unwrapped(request, message, limit)
        else:
            message = _unpacked(request.headers.get("Content-Encoding", _PLAIN), message, limit)
    return Asked(
        method=method,
        encoding=encoding,
        message=message,
        timeout=timeout,
        metadata=passed_on(request),
        gzip=_accepts_gzip(
            request.headers.get(
                wire.STREAM_ACCEPTS if method.gives_stream else "Accept-Encoding", ""
            )
        ),
        if_none_match=request.headers.get("If-None-Match"),
        is_get=request.method == "GET",
    )


def passed_on(request: web.Request) -> tuple[tuple[str, str], ...]:
    """The headers of REQUEST that the gRPC server gets to see, as metadata."""
    return tuple(
        (name, text) for name in _PASSED_ON if _printable(text := request.headers.get(name, ""))
    )


def _printable(text: str) -> bool:
    """Whether gRPC takes TEXT as metadata. No key of ours and no ETag has other characters."""
    return bool(text) and text.isascii() and text.isprintable()


def _largest(method: Method, encoding: str, limits: Limits) -> int:
    """The bytes that a message for METHOD may have, unpacked."""
    limit = limits.of_a_request(method.path)
    return min(limits.json_factor * limit, limits.max_json_bytes) if encoding == "json" else limit


async def _body(request: web.Request, limit: int, patience: float, room: Room) -> bytes:
    most = limit + wire.ENVELOPE.size
    if (request.content_length or 0) > most:
        raise too_large(limit, request.content_length)
    taken = 0
    pieces = []

    async def pull() -> None:
        nonlocal taken
        async for piece in request.content.iter_any():
            taken += len(piece)
            room.take(len(piece))
            if taken > most:
                raise too_large(limit)
            pieces.append(piece)

    try:
        await asyncio.wait_for(pull(), patience)
        return b"".join(pieces)
    except asyncio.TimeoutError as error:
        raise ServiceError(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"the body did not arrive within {patience:g} s: send it faster",
            refusal=Refusal.INVALID,
        ) from error
    except web.RequestPayloadError as error:
        raise invalid("the body ended in the middle: send all of it") from error
    finally:
        room.release(taken)


def _message_of_query(request: web.Request, limit: int) -> bytes:
    query = request.query
    if query.get("connect", "v1") != "v1":
        raise invalid("the parameter connect is not v1: this is version 1 of the protocol")
    if "message" not in query:
        raise invalid("there is no parameter message: put the message of the request in it")
    text = query["message"]
    if query.get("base64") == "1":
        try:
            message = base64.b64decode(_padded(text), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(
                "the parameter message is no URL-safe base64: use - and _ for + and /"
            ) from error
    else:
        message = text.encode("utf-8", "surrogateescape")
    return _unpacked(query.get("compression", _PLAIN), message, limit)


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _unwrapped(request: web.Request, body: bytes, limit: int) -> bytes:
    """The one message of the stream that a client sends to a call that takes one."""
    if len(body) < wire.ENVELOPE.size:
        raise invalid("the stream of the request has no message: send one in an envelope")
    flags, length = wire.ENVELOPE.unpack_from(body)
    message = body[wire.ENVELOPE.size :]
    if flags & ~wire.COMPRESSED or length != len(message):
        raise invalid(
            "the stream of the request is not one whole message in one envelope: "
            "five bytes (flags, length in network order), then the message"
        )
    if not flags & wire.COMPRESSED:
        return message
    packing = request.headers.get(wire.STREAM_ENCODING, _PLAIN)
    if packing == _PLAIN:
        raise invalid(
            f"a message is marked as packed, and {wire.STREAM_ENCODING} names no packing: "
            f"name {_GZIP}, or clear the mark"
        )
    return _unpacked(packing, message, limit)


def _unpacked(packing: str, data: bytes, limit: int) -> bytes:
    unpack = _UNPACK.get(packing.strip().lower())
    if unpack is None:
        raise ServiceError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"packing {packing[:40]!r} is not known here: use {_GZIP} or {_PLAIN}",
        )
    return unpack(data, limit)


def _plain(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise too_large(limit, len(data))
    return data


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {_GZIP: codec.gunzipped, _PLAIN: _plain}


def _accepts_gzip(header: str) -> bool:
    """Whether a list of names with weights has gzip with a weight that is not 0."""
    for item in header.split(","):
        name, _, weight = item.partition(";")
        if name.strip().lower() == _GZIP:
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _timeout(request: web.Request) -> float | None:
    """Raises ServiceError for a version or a time that is none."""
    version = request.headers.get(wire.VERSION_HEADER, wire.VERSION)
    if version != wire.VERSION:
        raise invalid(f"{wire.VERSION_HEADER} is {version[:20]!r}: only version 1 is spoken here")
    text = request.headers.get(wire.TIMEOUT_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIMEOUT_DIGITS):
        raise invalid(f"{wire.TIMEOUT_HEADER} is {text[:20]!r}: give milliseconds in digits")
    return int(text) / 1000
