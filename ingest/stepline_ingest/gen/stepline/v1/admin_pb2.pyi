# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackupRequest(_message.Message):
    __slots__ = ("name", "base")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    name: str
    base: str
    def __init__(self, name: _Optional[str] = ..., base: _Optional[str] = ...) -> None: ...

class BackupProgress(_message.Message):
    __slots__ = ("done_bytes", "total_bytes", "path", "created")
    DONE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    done_bytes: int
    total_bytes: int
    path: str
    created: str
    def __init__(self, done_bytes: _Optional[int] = ..., total_bytes: _Optional[int] = ..., path: _Optional[str] = ..., created: _Optional[str] = ...) -> None: ...

class ListMonthsRequest(_message.Message):
    __slots__ = ("keep_seconds",)
    KEEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    keep_seconds: int
    def __init__(self, keep_seconds: _Optional[int] = ...) -> None: ...

class ListMonthsReply(_message.Message):
    __slots__ = ("months", "keep_seconds")
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    KEEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    months: _containers.RepeatedCompositeFieldContainer[Month]
    keep_seconds: int
    def __init__(self, months: _Optional[_Iterable[_Union[Month, _Mapping]]] = ..., keep_seconds: _Optional[int] = ...) -> None: ...

class Month(_message.Message):
    __slots__ = ("month", "points", "bytes", "kept_bytes", "state", "expires_ms")
    MONTH_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    KEPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    month: int
    points: int
    bytes: int
    kept_bytes: int
    state: str
    expires_ms: int
    def __init__(self, month: _Optional[int] = ..., points: _Optional[int] = ..., bytes: _Optional[int] = ..., kept_bytes: _Optional[int] = ..., state: _Optional[str] = ..., expires_ms: _Optional[int] = ...) -> None: ...
