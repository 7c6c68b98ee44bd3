# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListProjectsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsReply(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    def __init__(self, projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ...) -> None: ...

class Project(_message.Message):
    __slots__ = ("name", "runs", "running", "created_ms", "updated_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    runs: int
    running: int
    created_ms: int
    updated_ms: int
    def __init__(self, name: _Optional[str] = ..., runs: _Optional[int] = ..., running: _Optional[int] = ..., created_ms: _Optional[int] = ..., updated_ms: _Optional[int] = ...) -> None: ...

class ListRunKeysRequest(_message.Message):
    __slots__ = ("project", "prefix", "search", "limit", "offset")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    project: str
    prefix: str
    search: str
    limit: int
    offset: int
    def __init__(self, project: _Optional[str] = ..., prefix: _Optional[str] = ..., search: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class ListRunKeysReply(_message.Message):
    __slots__ = ("keys", "total")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[RunKey]
    total: int
    def __init__(self, keys: _Optional[_Iterable[_Union[RunKey, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class RunKey(_message.Message):
    __slots__ = ("key", "runs", "numbers", "texts", "flags", "lists", "min", "max", "live")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    key: str
    runs: int
    numbers: int
    texts: int
    flags: int
    lists: int
    min: float
    max: float
    live: bool
    def __init__(self, key: _Optional[str] = ..., runs: _Optional[int] = ..., numbers: _Optional[int] = ..., texts: _Optional[int] = ..., flags: _Optional[int] = ..., lists: _Optional[int] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., live: _Optional[bool] = ...) -> None: ...

class ListConfigChangesRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ListConfigChangesReply(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ConfigChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[ConfigChange, _Mapping]]] = ...) -> None: ...

class ConfigChange(_message.Message):
    __slots__ = ("time_ms", "attempt", "who", "key", "before_json", "after_json")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JSON_FIELD_NUMBER: _ClassVar[int]
    AFTER_JSON_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    attempt: int
    who: str
    key: str
    before_json: str
    after_json: str
    def __init__(self, time_ms: _Optional[int] = ..., attempt: _Optional[int] = ..., who: _Optional[str] = ..., key: _Optional[str] = ..., before_json: _Optional[str] = ..., after_json: _Optional[str] = ...) -> None: ...
