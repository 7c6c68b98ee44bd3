"""SQL from people, read only. What is refused, and why, is the engine's and the store's to say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Executor
from contextlib import aclosing

import grpc

from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.store.contract import Setting, Store, StoreError

from .ask import asked
from .failure import ACCESS_DENIED, READONLY

DEFAULT_FORMAT = "JSONCompactEachRowWithNamesAndTypes"
CHUNK_BYTES = 1 << 20

_READABLE: dict[str, Setting] = {
    # Numbers that JSON does not know come as text instead of null, integers as numbers.
    "output_format_json_quote_denormals": 1,
    "output_format_json_quote_64bit_integers": 0,
}
_MESSAGE_LENGTH = 600


async def read_sql(
    store: Store,
    executor: Executor,
    request: query_pb2.SqlRequest,
    limits: Mapping[str, Setting],
    max_bytes: int,
    *,
    project: str | None,
) -> AsyncGenerator[query_pb2.SqlChunk, None]:
    """The answer in pieces, of one PROJECT where it is given. Raises ServiceError for what the text
    is to blame for, else StoreError.
    """
    text = request.query.strip()
    if not text:
        raise invalid("the query is empty; write a SELECT, such as SELECT * FROM points LIMIT 10")
    if len(text.encode()) > max_bytes:
        raise invalid(f"the query is longer than {max_bytes} bytes: shorten it")
    fmt = request.format or DEFAULT_FORMAT
    if not (fmt.isascii() and fmt.isalnum() and len(fmt) <= 64):
        raise invalid(
            f"{fmt[:80]!r} is no name of a format; use one such as JSONEachRow, or leave it empty"
        )

    def agree(chosen: str) -> None:
        if request.format and chosen != fmt:
            raise invalid(
                f"the query says FORMAT {chosen} and the request asks for {fmt}: leave FORMAT out "
                "of the query"
            )

    settings = {**limits, **_READABLE}
    answer = asked(store, executor, text, fmt, settings=settings, project=project, named=agree)
    try:
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                for begin in range(0, len(piece), CHUNK_BYTES):
                    yield query_pb2.SqlChunk(data=piece[begin : begin + CHUNK_BYTES])
    except StoreError as error:
        if error.blames_query:
            raise _refusal(error) from error
        raise


def _refusal(error: StoreError) -> ServiceError:
    message = _shortened(str(error))
    if error.code in (READONLY, ACCESS_DENIED):
        return ServiceError(
            grpc.StatusCode.PERMISSION_DENIED, f"{message}; SQL here only reads: use SELECT"
        )
    return invalid(f"the query cannot be run: {message}")


def _shortened(message: str) -> str:
    """Without the list of what a parser would have taken, and without the query again."""
    for noise in (". Expected one of:", " In scope SELECT", ": While executing"):
        message = message.split(noise, 1)[0]
    return message if len(message) <= _MESSAGE_LENGTH else message[: _MESSAGE_LENGTH - 3] + "..."
