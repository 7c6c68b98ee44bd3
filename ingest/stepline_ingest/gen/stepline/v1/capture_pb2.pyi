# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConsoleStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSOLE_STREAM_UNSPECIFIED: _ClassVar[ConsoleStream]
    CONSOLE_STREAM_OUT: _ClassVar[ConsoleStream]
    CONSOLE_STREAM_ERR: _ClassVar[ConsoleStream]
    CONSOLE_STREAM_NOTE: _ClassVar[ConsoleStream]
CONSOLE_STREAM_UNSPECIFIED: ConsoleStream
CONSOLE_STREAM_OUT: ConsoleStream
CONSOLE_STREAM_ERR: ConsoleStream
CONSOLE_STREAM_NOTE: ConsoleStream

class PutContextRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "rank", "writer", "part", "content_json")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    CONTENT_JSON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    rank: int
    writer: bytes
    part: str
    content_json: str
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., writer: _Optional[bytes] = ..., part: _Optional[str] = ..., content_json: _Optional[str] = ...) -> None: ...

class PutContextReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetContextRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "rank", "parts")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    rank: int
    parts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., parts: _Optional[_Iterable[str]] = ...) -> None: ...

class GetContextReply(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[ContextPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[ContextPart, _Mapping]]] = ...) -> None: ...

class ContextPart(_message.Message):
    __slots__ = ("attempt", "rank", "part", "content_json")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    CONTENT_JSON_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    rank: int
    part: str
    content_json: str
    def __init__(self, attempt: _Optional[int] = ..., rank: _Optional[int] = ..., part: _Optional[str] = ..., content_json: _Optional[str] = ...) -> None: ...

class AppendConsoleRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "rank", "writer", "lines")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    rank: int
    writer: bytes
    lines: _containers.RepeatedCompositeFieldContainer[ConsoleLine]
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., writer: _Optional[bytes] = ..., lines: _Optional[_Iterable[_Union[ConsoleLine, _Mapping]]] = ...) -> None: ...

class AppendConsoleReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConsoleLine(_message.Message):
    __slots__ = ("writer", "line", "ordinal", "stream", "time_ms", "text", "open")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    writer: bytes
    line: int
    ordinal: int
    stream: ConsoleStream
    time_ms: int
    text: str
    open: bool
    def __init__(self, writer: _Optional[bytes] = ..., line: _Optional[int] = ..., ordinal: _Optional[int] = ..., stream: _Optional[_Union[ConsoleStream, str]] = ..., time_ms: _Optional[int] = ..., text: _Optional[str] = ..., open: _Optional[bool] = ...) -> None: ...

class ReadConsoleRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "rank", "cursor", "limit", "tail", "contains")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    CONTAINS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    rank: int
    cursor: bytes
    limit: int
    tail: int
    contains: str
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., cursor: _Optional[bytes] = ..., limit: _Optional[int] = ..., tail: _Optional[int] = ..., contains: _Optional[str] = ...) -> None: ...

class ReadConsoleReply(_message.Message):
    __slots__ = ("lines", "cursor", "more", "attempt")
    LINES_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[ConsoleLine]
    cursor: bytes
    more: bool
    attempt: int
    def __init__(self, lines: _Optional[_Iterable[_Union[ConsoleLine, _Mapping]]] = ..., cursor: _Optional[bytes] = ..., more: _Optional[bool] = ..., attempt: _Optional[int] = ...) -> None: ...
