"""Connect's protocol by hand, for tests that look at bytes."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import urlencode

import urllib3

HEAD = struct.Struct(">BI")


def call(
    address: str,
    method: str,
    message: Any = None,
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    verb: str = "POST",
    **headers: str,
) -> urllib3.BaseHTTPResponse:
    """A unary call; MESSAGE becomes JSON. Headers are written with _ for -."""
    if body is None:
        body = json.dumps({} if message is None else message).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.request(
        verb,
        f"http://{address}/stepline.v1.{method}",
        body=body,
        headers={"Content-Type": content_type, **named},
        timeout=60,
        redirect=False,
        retries=False,
        decode_content=False,
    )


def get(address: str, method: str, message: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    """The same by GET."""
    packed = base64.urlsafe_b64encode(json.dumps(message).encode()).decode().rstrip("=")
    query = urlencode({"connect": "v1", "encoding": "json", "base64": "1", "message": packed})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.request(
        "GET",
        f"http://{address}/stepline.v1.{method}?{query}",
        headers=named,
        timeout=60,
        retries=False,
    )


def envelope(payload: bytes, flags: int = 0) -> bytes:
    return HEAD.pack(flags, len(payload)) + payload


def stream(
    address: str, method: str, message: Any, **headers: str
) -> tuple[list[Any], dict[str, Any]]:
    """A call that answers with a stream: its messages, and what its last envelope says."""
    answer = call(
        address,
        method,
        body=envelope(json.dumps(message).encode()),
        content_type="application/connect+json",
        **headers,
    )
    assert answer.status == 200, answer.data
    return opened(answer.data)


def opened(data: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The envelopes of a JSON stream."""
    messages = []
    while data:
        flags, length = HEAD.unpack_from(data)
        payload, data = data[HEAD.size : HEAD.size + length], data[HEAD.size + length :]
        if flags & 2:
            assert not data
            end: dict[str, Any] = json.loads(payload)
            return messages, end
        messages.append(json.loads(payload))
    raise AssertionError("the stream has no end")
