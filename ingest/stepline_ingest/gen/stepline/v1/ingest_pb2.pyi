# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PushRequest(_message.Message):
    __slots__ = ("hello", "batch")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    batch: Batch
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("writer", "run_id", "attempt", "rank", "epoch", "first_unacknowledged", "lost_before_upload")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_UNACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    LOST_BEFORE_UPLOAD_FIELD_NUMBER: _ClassVar[int]
    writer: bytes
    run_id: str
    attempt: int
    rank: int
    epoch: int
    first_unacknowledged: int
    lost_before_upload: bool
    def __init__(self, writer: _Optional[bytes] = ..., run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., epoch: _Optional[int] = ..., first_unacknowledged: _Optional[int] = ..., lost_before_upload: _Optional[bool] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("first_seq", "last_seq", "plain", "columnar")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    PLAIN_FIELD_NUMBER: _ClassVar[int]
    COLUMNAR_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    last_seq: int
    plain: PlainBatch
    columnar: bytes
    def __init__(self, first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., plain: _Optional[_Union[PlainBatch, _Mapping]] = ..., columnar: _Optional[bytes] = ...) -> None: ...

class PlainBatch(_message.Message):
    __slots__ = ("metrics", "metric", "seq", "step", "time_ms", "value")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedScalarFieldContainer[str]
    metric: _containers.RepeatedScalarFieldContainer[int]
    seq: _containers.RepeatedScalarFieldContainer[int]
    step: _containers.RepeatedScalarFieldContainer[int]
    time_ms: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, metrics: _Optional[_Iterable[str]] = ..., metric: _Optional[_Iterable[int]] = ..., seq: _Optional[_Iterable[int]] = ..., step: _Optional[_Iterable[int]] = ..., time_ms: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ...) -> None: ...

class PushReply(_message.Message):
    __slots__ = ("welcome", "ack", "rejected")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    rejected: Rejected
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., rejected: _Optional[_Union[Rejected, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("committed_seq", "window_batches", "window_bytes", "max_batch_bytes", "max_batch_points")
    COMMITTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BATCHES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_POINTS_FIELD_NUMBER: _ClassVar[int]
    committed_seq: int
    window_batches: int
    window_bytes: int
    max_batch_bytes: int
    max_batch_points: int
    def __init__(self, committed_seq: _Optional[int] = ..., window_batches: _Optional[int] = ..., window_bytes: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., max_batch_points: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("committed_seq",)
    COMMITTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    committed_seq: int
    def __init__(self, committed_seq: _Optional[int] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("first_seq", "last_seq", "reason")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    last_seq: int
    reason: str
    def __init__(self, first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
