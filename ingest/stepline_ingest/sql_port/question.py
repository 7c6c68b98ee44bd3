"""What a request asks: the text, the format, parameters and settings.

Query in the parameter `query`, in the body, or in both; format by a FORMAT clause,
`default_format` or X-ClickHouse-Format; parameters as `param_NAME`. Both may also come as fields of
a form, as clients send them whose parameters are long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from stepline_ingest.errors import ServiceError
from stepline_ingest.gateway.codec import gunzipped
from stepline_ingest.limits import Limits
from stepline_ingest.store.contract import Setting
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.params import Escaped

DEFAULT_FORMAT = "TabSeparated"
PARAM = "param_"

SYNTAX_ERROR, UNKNOWN_FORMAT, NOT_IMPLEMENTED, BAD_ARGUMENTS = 62, 73, 48, 36

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_FORMAT_NAME = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_FORMAT_SETTING = re.compile(
    r"output_format_(json|csv|tsv|pretty|markdown|values|decimal)_[a-z0-9_]{1,100}"
    r"|output_format_(arrow|parquet)_(string_as_string|compression_method)"
    r"|format_(csv|tsv)_[a-z0-9_]{1,100}"
    r"|date_time_output_format|bool_(true|false)_representation|output_format_write_statistics",
    re.ASCII,
)
"""What shapes text. Not output_format_schema, which writes a file of any name at the service."""
_NOT_IN_PIECES = "output_format_json_array_of_rows"
"""Brackets around all rows would come around every piece of them."""
_PLAIN_SETTINGS = frozenset(
    {"join_use_nulls", "group_by_use_nulls", "session_timezone", "extremes", "max_result_rows"}
)
_LOWERED = frozenset({"max_execution_time", "max_memory_usage", "max_threads", "max_block_size"})
"""What a caller may lower, and not raise."""
_MAX_BLOCK_SIZE = 65_536
_PIECES_OF_FORM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    sql: str
    fmt: str
    params: Mapping[str, Escaped]
    settings: Mapping[str, Setting]
    revision: int
    """Of ClickHouse's protocol, as far as the client speaks it; 0 when it does not say."""


async def question_of(request: web.Request, limits: Limits) -> Question:
    """Raises StoreError for what is no question."""
    fields = dict(request.query)
    texts = [fields.get("query", "")]
    if request.can_read_body:
        if request.content_type == "multipart/form-data":
            form = await _form(request, limits)
            texts = [fields.get("query", ""), form.pop("query", "")]
            fields |= form
        else:
            texts.append((await _body(request, limits)).decode())
    if fields.get("compress") == "1" or fields.get("decompress") == "1":
        raise refused(
            NOT_IMPLEMENTED,
            "compress=1 asks for ClickHouse's own packing, which is not spoken here: switch it off "
            "(JDBC: compress=0), or use enable_http_compression=1",
        )
    fmt = (
        fields.get("default_format") or request.headers.get("X-ClickHouse-Format") or DEFAULT_FORMAT
    )
    if not _FORMAT_NAME.fullmatch(fmt):
        raise refused(
            UNKNOWN_FORMAT, f"{fmt[:80]!r} is no name of a format: use one such as JSONEachRow"
        )
    sql = "\n".join(text for text in texts if text)
    if len(sql.encode("utf-8", "replace")) > limits.max_query_bytes:
        raise refused(
            SYNTAX_ERROR,
            f"the query is longer than {limits.max_query_bytes} bytes: shorten it, or give long "
            "values as parameters",
        )
    return Question(
        sql=sql,
        fmt=fmt,
        params={
            name[len(PARAM) :]: Escaped(value)
            for name, value in fields.items()
            if name.startswith(PARAM)
        },
        settings=_settings(fields, limits),
        revision=_revision(fields.get("client_protocol_version", "0")),
    )


def _revision(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise refused(BAD_ARGUMENTS, f"client_protocol_version is {text[:80]!r}: give a number")
    return int(text)


def refused(code: int, message: str) -> StoreError:
    return StoreError(message, code=code, blames_query=True)


def _settings(fields: Mapping[str, str], limits: Limits) -> dict[str, Setting]:
    """The settings of a query. Those that shape an answer are passed on, limits are lowered, and
    the rest, which tunes a server, is left alone."""
    given: dict[str, Setting] = {**limits.of_a_query()}
    for name, value in fields.items():
        if name in _LOWERED:
            given[name] = _lowered(name, value, limits)
        elif name == _NOT_IN_PIECES:
            continue
        elif name in _PLAIN_SETTINGS or _FORMAT_SETTING.fullmatch(name):
            given[name] = value[:200]
    return given


def _lowered(name: str, value: str, limits: Limits) -> Setting:
    most = {**limits.of_a_query(), "max_threads": 2, "max_block_size": _MAX_BLOCK_SIZE}[name]
    try:
        wanted = float(value)
    except ValueError:
        raise refused(BAD_ARGUMENTS, f"{name} is {value[:80]!r}: give a number") from None
    # 0 is ClickHouse's word for "no limit".
    return int(min(wanted, most)) or most if wanted >= 1 else most


async def _body(request: web.Request, limits: Limits) -> bytes:
    packing = request.headers.get("Content-Encoding", "identity").lower()
    if packing not in ("identity", "gzip"):
        raise refused(NOT_IMPLEMENTED, f"a query packed as {packing[:40]!r}: send it as it is")
    body = await request.read()
    if packing == "identity":
        return body
    try:
        return gunzipped(body, limits.max_form_bytes)
    except ServiceError as error:
        raise refused(BAD_ARGUMENTS, error.message) from error


async def _form(request: web.Request, limits: Limits) -> dict[str, str]:
    """The fields of a multipart form. Files are tables of a caller's own, which nobody may make
    here."""
    fields: dict[str, str] = {}
    room = limits.max_form_bytes
    try:
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise refused(
                    BAD_ARGUMENTS, "the form has a part without a name: give each its name"
                )
            if part.filename is not None:
                raise refused(
                    NOT_IMPLEMENTED, "external tables are not taken here: write their rows into SQL"
                )
            value = b""
            while piece := await part.read_chunk():
                value += piece
                room -= len(piece)
                if room < 0 or len(fields) > _PIECES_OF_FORM:
                    raise web.HTTPRequestEntityTooLarge(limits.max_form_bytes, len(value))
            fields[part.name] = value.decode()
    except (ValueError, HttpProcessingError) as error:
        raise refused(BAD_ARGUMENTS, "the form is broken: send all of it") from error
    return fields
