# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

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
