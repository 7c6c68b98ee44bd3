# Generated from proto/ by `make proto`. Do not edit.
from . import query_pb2 as _query_pb2
from . import runs_pb2 as _runs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("charts", "interval_ms")
    CHARTS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    charts: _containers.RepeatedCompositeFieldContainer[WatchedChart]
    interval_ms: int
    def __init__(self, charts: _Optional[_Iterable[_Union[WatchedChart, _Mapping]]] = ..., interval_ms: _Optional[int] = ...) -> None: ...

class WatchedChart(_message.Message):
    __slots__ = ("chart", "patterns")
    CHART_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    chart: _query_pb2.ChartRequest
    patterns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chart: _Optional[_Union[_query_pb2.ChartRequest, _Mapping]] = ..., patterns: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchUpdate(_message.Message):
    __slots__ = ("lines", "runs", "more", "reset")
    LINES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[LineUpdate]
    runs: _containers.RepeatedCompositeFieldContainer[_runs_pb2.Run]
    more: bool
    reset: bool
    def __init__(self, lines: _Optional[_Iterable[_Union[LineUpdate, _Mapping]]] = ..., runs: _Optional[_Iterable[_Union[_runs_pb2.Run, _Mapping]]] = ..., more: _Optional[bool] = ..., reset: _Optional[bool] = ...) -> None: ...

class LineUpdate(_message.Message):
    __slots__ = ("chart", "line", "whole", "gone")
    CHART_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    chart: int
    line: _query_pb2.ChartLine
    whole: bool
    gone: bool
    def __init__(self, chart: _Optional[int] = ..., line: _Optional[_Union[_query_pb2.ChartLine, _Mapping]] = ..., whole: _Optional[bool] = ..., gone: _Optional[bool] = ...) -> None: ...
