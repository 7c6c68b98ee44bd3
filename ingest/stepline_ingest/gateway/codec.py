"""Messages as JSON and as bytes, in protobuf's own JSON form."""

from __future__ import annotations

import json
import zlib

from google.protobuf import json_format
from google.protobuf.message import Message

from stepline_ingest.errors import invalid
from stepline_ingest.wire import too_large

_TOLD = 400
"""Characters of a parser's complaint that are passed on."""
_GZIP = 31
"""zlib's window bits for gzip."""
_FAST = 1


def to_bytes(kind: type[Message], payload: bytes) -> bytes:
    """The message of KIND in the JSON of PAYLOAD. Raises ServiceError for garbage."""
    message = kind()
    try:
        if not payload.lstrip().startswith(b"{"):
            raise ValueError("there is no object")
        json_format.Parse(payload, message)
    except (json_format.Error, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        told = told if len(told) <= _TOLD else told[: _TOLD - 3] + "..."
        raise invalid(
            f"the body is no {kind.DESCRIPTOR.full_name} in JSON ({told}): "
            "fields are named as in proto/, 64-bit integers may be text, bytes are base64"
        ) from error
    return message.SerializeToString()


def to_json(kind: type[Message], payload: bytes) -> bytes:
    """The other way. The bytes come from our own server, so they are a message."""
    found = json_format.MessageToDict(kind.FromString(payload))
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def gunzipped(data: bytes, limit: int) -> bytes:
    """What DATA unpacks to. Raises ServiceError when that is more than LIMIT bytes, before it is
    unpacked, or when it is no gzip."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise invalid("the body says that it is gzip and is not: send it as it is") from error
    if len(plain) > limit:
        raise too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise invalid("the gzip of the body is cut or has something behind it: send one whole")
    return plain


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(_FAST, wbits=_GZIP)
    return packer.compress(data) + packer.flush()
