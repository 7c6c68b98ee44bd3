# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Resume(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESUME_UNSPECIFIED: _ClassVar[Resume]
    RESUME_NEVER: _ClassVar[Resume]
    RESUME_ALLOW: _ClassVar[Resume]
    RESUME_MUST: _ClassVar[Resume]
    RESUME_AUTO: _ClassVar[Resume]

class OnLive(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_LIVE_UNSPECIFIED: _ClassVar[OnLive]
    ON_LIVE_REFUSE: _ClassVar[OnLive]
    ON_LIVE_TAKE_OVER: _ClassVar[OnLive]
    ON_LIVE_NEW_RUN: _ClassVar[OnLive]
RESUME_UNSPECIFIED: Resume
RESUME_NEVER: Resume
RESUME_ALLOW: Resume
RESUME_MUST: Resume
RESUME_AUTO: Resume
ON_LIVE_UNSPECIFIED: OnLive
ON_LIVE_REFUSE: OnLive
ON_LIVE_TAKE_OVER: OnLive
ON_LIVE_NEW_RUN: OnLive

class CreateRunRequest(_message.Message):
    __slots__ = ("project", "run_id", "name", "config_json", "tags", "group", "job_type", "resume", "fork_from", "launch_id", "rank", "world_size", "writer", "host", "pid", "created_ms", "on_live", "child")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    FORK_FROM_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    ON_LIVE_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    project: str
    run_id: str
    name: str
    config_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    group: str
    job_type: str
    resume: Resume
    fork_from: str
    launch_id: str
    rank: int
    world_size: int
    writer: bytes
    host: str
    pid: int
    created_ms: int
    on_live: OnLive
    child: bool
    def __init__(self, project: _Optional[str] = ..., run_id: _Optional[str] = ..., name: _Optional[str] = ..., config_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ..., resume: _Optional[_Union[Resume, str]] = ..., fork_from: _Optional[str] = ..., launch_id: _Optional[str] = ..., rank: _Optional[int] = ..., world_size: _Optional[int] = ..., writer: _Optional[bytes] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., created_ms: _Optional[int] = ..., on_live: _Optional[_Union[OnLive, str]] = ..., child: _Optional[bool] = ...) -> None: ...

class CreateRunReply(_message.Message):
    __slots__ = ("attempt", "run")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    run: Run
    def __init__(self, attempt: _Optional[int] = ..., run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class UpdateRunRequest(_message.Message):
    __slots__ = ("run_id", "config_json", "summary_json", "name", "notes", "tags", "group", "job_type", "add_tags", "remove_tags", "preempting", "attempt")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    ADD_TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTING_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    config_json: str
    summary_json: str
    name: str
    notes: str
    tags: TagList
    group: str
    job_type: str
    add_tags: _containers.RepeatedScalarFieldContainer[str]
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    preempting: bool
    attempt: int
    def __init__(self, run_id: _Optional[str] = ..., config_json: _Optional[str] = ..., summary_json: _Optional[str] = ..., name: _Optional[str] = ..., notes: _Optional[str] = ..., tags: _Optional[_Union[TagList, _Mapping]] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ..., add_tags: _Optional[_Iterable[str]] = ..., remove_tags: _Optional[_Iterable[str]] = ..., preempting: _Optional[bool] = ..., attempt: _Optional[int] = ...) -> None: ...

class TagList(_message.Message):
    __slots__ = ("tags",)
    TAGS_FIELD_NUMBER: _ClassVar[int]
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tags: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateRunReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FinishRunRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "rank", "writer", "exit_code", "finished_ms", "vanished", "error_type", "error_message", "preempted")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    VANISHED_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PREEMPTED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    rank: int
    writer: bytes
    exit_code: int
    finished_ms: int
    vanished: bool
    error_type: str
    error_message: str
    preempted: bool
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., writer: _Optional[bytes] = ..., exit_code: _Optional[int] = ..., finished_ms: _Optional[int] = ..., vanished: _Optional[bool] = ..., error_type: _Optional[str] = ..., error_message: _Optional[str] = ..., preempted: _Optional[bool] = ...) -> None: ...

class FinishRunReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetRunReply(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("signs",)
    SIGNS_FIELD_NUMBER: _ClassVar[int]
    signs: _containers.RepeatedCompositeFieldContainer[SignOfLife]
    def __init__(self, signs: _Optional[_Iterable[_Union[SignOfLife, _Mapping]]] = ...) -> None: ...

class SignOfLife(_message.Message):
    __slots__ = ("run_id", "attempt", "ranks")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    ranks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., ranks: _Optional[_Iterable[int]] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("next_ms", "superseded")
    NEXT_MS_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    next_ms: int
    superseded: _containers.RepeatedCompositeFieldContainer[SignOfLife]
    def __init__(self, next_ms: _Optional[int] = ..., superseded: _Optional[_Iterable[_Union[SignOfLife, _Mapping]]] = ...) -> None: ...

class GetLineageRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetLineageReply(_message.Message):
    __slots__ = ("segments", "attempts", "missing")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    missing: _containers.RepeatedCompositeFieldContainer[Missing]
    def __init__(self, segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., missing: _Optional[_Iterable[_Union[Missing, _Mapping]]] = ...) -> None: ...

class Missing(_message.Message):
    __slots__ = ("attempt", "rank", "count", "reason", "time_ms")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    rank: int
    count: int
    reason: str
    time_ms: int
    def __init__(self, attempt: _Optional[int] = ..., rank: _Optional[int] = ..., count: _Optional[int] = ..., reason: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("run_id", "attempt", "first_step", "last_step")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    first_step: int
    last_step: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("attempt", "state", "launch_id", "world_size", "created_ms", "ended_ms", "exit_code", "error_type", "error_message", "host", "pid", "begin_step", "seen_ms", "living", "troubled", "troubled_ranks", "ran_ms")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    BEGIN_STEP_FIELD_NUMBER: _ClassVar[int]
    SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    LIVING_FIELD_NUMBER: _ClassVar[int]
    TROUBLED_FIELD_NUMBER: _ClassVar[int]
    TROUBLED_RANKS_FIELD_NUMBER: _ClassVar[int]
    RAN_MS_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    state: str
    launch_id: str
    world_size: int
    created_ms: int
    ended_ms: int
    exit_code: int
    error_type: str
    error_message: str
    host: str
    pid: int
    begin_step: int
    seen_ms: int
    living: int
    troubled: _containers.RepeatedCompositeFieldContainer[Rank]
    troubled_ranks: int
    ran_ms: int
    def __init__(self, attempt: _Optional[int] = ..., state: _Optional[str] = ..., launch_id: _Optional[str] = ..., world_size: _Optional[int] = ..., created_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., exit_code: _Optional[int] = ..., error_type: _Optional[str] = ..., error_message: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., begin_step: _Optional[int] = ..., seen_ms: _Optional[int] = ..., living: _Optional[int] = ..., troubled: _Optional[_Iterable[_Union[Rank, _Mapping]]] = ..., troubled_ranks: _Optional[int] = ..., ran_ms: _Optional[int] = ...) -> None: ...

class Rank(_message.Message):
    __slots__ = ("rank", "state", "seen_ms", "exit_code", "error_type", "error_message")
    RANK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    rank: int
    state: str
    seen_ms: int
    exit_code: int
    error_type: str
    error_message: str
    def __init__(self, rank: _Optional[int] = ..., state: _Optional[str] = ..., seen_ms: _Optional[int] = ..., exit_code: _Optional[int] = ..., error_type: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...

class BringBackRequest(_message.Message):
    __slots__ = ("run_id", "attempt", "step")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    step: int
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., step: _Optional[int] = ...) -> None: ...

class BringBackReply(_message.Message):
    __slots__ = ("segments",)
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    def __init__(self, segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class DeleteRunReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("project", "limit", "offset", "filter", "sort", "columns", "group_by")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    project: str
    limit: int
    offset: int
    filter: str
    sort: _containers.RepeatedScalarFieldContainer[str]
    columns: _containers.RepeatedScalarFieldContainer[str]
    group_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, project: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., filter: _Optional[str] = ..., sort: _Optional[_Iterable[str]] = ..., columns: _Optional[_Iterable[str]] = ..., group_by: _Optional[_Iterable[str]] = ...) -> None: ...

class ListRunsReply(_message.Message):
    __slots__ = ("runs", "total", "groups")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    total: int
    groups: _containers.RepeatedCompositeFieldContainer[RunGroup]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., total: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[RunGroup, _Mapping]]] = ...) -> None: ...

class RunGroup(_message.Message):
    __slots__ = ("values_json", "count", "filter")
    VALUES_JSON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    values_json: str
    count: int
    filter: str
    def __init__(self, values_json: _Optional[str] = ..., count: _Optional[int] = ..., filter: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "project", "name", "state", "config_json", "summary_json", "tags", "group", "job_type", "notes", "attempts", "world_size", "created_ms", "updated_ms", "exit_code", "fork_run_id", "fork_step", "error_type", "error_message", "columns_json", "ran_ms", "running_since_ms", "host")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    FORK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FORK_STEP_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_JSON_FIELD_NUMBER: _ClassVar[int]
    RAN_MS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    project: str
    name: str
    state: str
    config_json: str
    summary_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    group: str
    job_type: str
    notes: str
    attempts: int
    world_size: int
    created_ms: int
    updated_ms: int
    exit_code: int
    fork_run_id: str
    fork_step: int
    error_type: str
    error_message: str
    columns_json: str
    ran_ms: int
    running_since_ms: int
    host: str
    def __init__(self, run_id: _Optional[str] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., config_json: _Optional[str] = ..., summary_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., group: _Optional[str] = ..., job_type: _Optional[str] = ..., notes: _Optional[str] = ..., attempts: _Optional[int] = ..., world_size: _Optional[int] = ..., created_ms: _Optional[int] = ..., updated_ms: _Optional[int] = ..., exit_code: _Optional[int] = ..., fork_run_id: _Optional[str] = ..., fork_step: _Optional[int] = ..., error_type: _Optional[str] = ..., error_message: _Optional[str] = ..., columns_json: _Optional[str] = ..., ran_ms: _Optional[int] = ..., running_since_ms: _Optional[int] = ..., host: _Optional[str] = ...) -> None: ...
