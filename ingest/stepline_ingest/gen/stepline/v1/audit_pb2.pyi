# Generated from proto/ by `make proto`. Do not edit.
from . import ingest_pb2 as _ingest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListWritersRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ListWritersReply(_message.Message):
    __slots__ = ("writers",)
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    writers: _containers.RepeatedCompositeFieldContainer[WriterPlace]
    def __init__(self, writers: _Optional[_Iterable[_Union[WriterPlace, _Mapping]]] = ...) -> None: ...

class WriterPlace(_message.Message):
    __slots__ = ("writer", "attempt", "rank")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    writer: bytes
    attempt: int
    rank: int
    def __init__(self, writer: _Optional[bytes] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ...) -> None: ...

class WriterDigestsRequest(_message.Message):
    __slots__ = ("run_id", "writer", "first_seq", "last_seq", "width", "by_metric")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    BY_METRIC_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    writer: bytes
    first_seq: int
    last_seq: int
    width: int
    by_metric: bool
    def __init__(self, run_id: _Optional[str] = ..., writer: _Optional[bytes] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., width: _Optional[int] = ..., by_metric: _Optional[bool] = ...) -> None: ...

class WriterDigestsReply(_message.Message):
    __slots__ = ("attempt", "rank", "committed_seq", "digests", "rejected", "expired")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    rank: int
    committed_seq: int
    digests: _containers.RepeatedCompositeFieldContainer[Digest]
    rejected: _containers.RepeatedCompositeFieldContainer[_ingest_pb2.Rejected]
    expired: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    def __init__(self, attempt: _Optional[int] = ..., rank: _Optional[int] = ..., committed_seq: _Optional[int] = ..., digests: _Optional[_Iterable[_Union[Digest, _Mapping]]] = ..., rejected: _Optional[_Iterable[_Union[_ingest_pb2.Rejected, _Mapping]]] = ..., expired: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first_seq", "last_seq")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    last_seq: int
    def __init__(self, first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ...) -> None: ...

class Digest(_message.Message):
    __slots__ = ("first_seq", "metric", "points", "sequences", "sum")
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    first_seq: int
    metric: int
    points: int
    sequences: int
    sum: int
    def __init__(self, first_seq: _Optional[int] = ..., metric: _Optional[int] = ..., points: _Optional[int] = ..., sequences: _Optional[int] = ..., sum: _Optional[int] = ...) -> None: ...

class DoctorRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DoctorEvent(_message.Message):
    __slots__ = ("step", "finding", "report")
    STEP_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    step: DoctorStep
    finding: DoctorFinding
    report: DoctorReport
    def __init__(self, step: _Optional[_Union[DoctorStep, _Mapping]] = ..., finding: _Optional[_Union[DoctorFinding, _Mapping]] = ..., report: _Optional[_Union[DoctorReport, _Mapping]] = ...) -> None: ...

class DoctorStep(_message.Message):
    __slots__ = ("what", "done", "total")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    what: str
    done: int
    total: int
    def __init__(self, what: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class DoctorFinding(_message.Message):
    __slots__ = ("kind", "message", "remedy", "run_id", "attempt", "rank", "writer", "first_seq", "last_seq")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    remedy: str
    run_id: str
    attempt: int
    rank: int
    writer: str
    first_seq: int
    last_seq: int
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., rank: _Optional[int] = ..., writer: _Optional[str] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ...) -> None: ...

class DoctorReport(_message.Message):
    __slots__ = ("points", "runs", "writers", "rejected", "expired")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    points: int
    runs: int
    writers: int
    rejected: int
    expired: int
    def __init__(self, points: _Optional[int] = ..., runs: _Optional[int] = ..., writers: _Optional[int] = ..., rejected: _Optional[int] = ..., expired: _Optional[int] = ...) -> None: ...
