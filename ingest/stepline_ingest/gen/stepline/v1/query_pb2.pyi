# Generated from proto/ by `make proto`. Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListMetricsRequest(_message.Message):
    __slots__ = ("run_id", "prefix", "pattern", "regex", "limit", "offset", "run_ids", "names_only", "hidden", "grouped")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    REGEX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    NAMES_ONLY_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    GROUPED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    prefix: str
    pattern: str
    regex: str
    limit: int
    offset: int
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    names_only: bool
    hidden: bool
    grouped: bool
    def __init__(self, run_id: _Optional[str] = ..., prefix: _Optional[str] = ..., pattern: _Optional[str] = ..., regex: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., run_ids: _Optional[_Iterable[str]] = ..., names_only: _Optional[bool] = ..., hidden: _Optional[bool] = ..., grouped: _Optional[bool] = ...) -> None: ...

class ListMetricsReply(_message.Message):
    __slots__ = ("metrics", "total", "groups")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    total: int
    groups: _containers.RepeatedCompositeFieldContainer[MetricGroup]
    def __init__(self, metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., total: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[MetricGroup, _Mapping]]] = ...) -> None: ...

class MetricGroup(_message.Message):
    __slots__ = ("prefix", "count")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    count: int
    def __init__(self, prefix: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "count", "ranks", "first_step", "last_step", "last_value", "min", "max", "nonfinite", "mean", "first_value", "min_step", "max_step", "runs", "definition")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    NONFINITE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    FIRST_VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_STEP_FIELD_NUMBER: _ClassVar[int]
    MAX_STEP_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    ranks: int
    first_step: int
    last_step: int
    last_value: float
    min: float
    max: float
    nonfinite: int
    mean: float
    first_value: float
    min_step: int
    max_step: int
    runs: int
    definition: MetricDefinition
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., ranks: _Optional[int] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., last_value: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., nonfinite: _Optional[int] = ..., mean: _Optional[float] = ..., first_value: _Optional[float] = ..., min_step: _Optional[int] = ..., max_step: _Optional[int] = ..., runs: _Optional[int] = ..., definition: _Optional[_Union[MetricDefinition, _Mapping]] = ...) -> None: ...

class MetricDefinition(_message.Message):
    __slots__ = ("x", "goal", "unit", "summary", "hidden")
    X_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    x: str
    goal: str
    unit: str
    summary: str
    hidden: bool
    def __init__(self, x: _Optional[str] = ..., goal: _Optional[str] = ..., unit: _Optional[str] = ..., summary: _Optional[str] = ..., hidden: _Optional[bool] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ("run_id", "metric", "rank", "start", "stop", "all_attempts")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    ALL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric: str
    rank: int
    start: int
    stop: int
    all_attempts: bool
    def __init__(self, run_id: _Optional[str] = ..., metric: _Optional[str] = ..., rank: _Optional[int] = ..., start: _Optional[int] = ..., stop: _Optional[int] = ..., all_attempts: _Optional[bool] = ...) -> None: ...

class HistoryChunk(_message.Message):
    __slots__ = ("rows", "step", "time_ms", "value", "attempt", "expired")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    rows: int
    step: bytes
    time_ms: bytes
    value: bytes
    attempt: bytes
    expired: _containers.RepeatedCompositeFieldContainer[ExpiredPoints]
    def __init__(self, rows: _Optional[int] = ..., step: _Optional[bytes] = ..., time_ms: _Optional[bytes] = ..., value: _Optional[bytes] = ..., attempt: _Optional[bytes] = ..., expired: _Optional[_Iterable[_Union[ExpiredPoints, _Mapping]]] = ...) -> None: ...

class ExpiredPoints(_message.Message):
    __slots__ = ("metric", "rank", "attempt", "run_id", "points", "first_step", "last_step", "first_time_ms", "last_time_ms")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    rank: int
    attempt: int
    run_id: str
    points: int
    first_step: int
    last_step: int
    first_time_ms: int
    last_time_ms: int
    def __init__(self, metric: _Optional[str] = ..., rank: _Optional[int] = ..., attempt: _Optional[int] = ..., run_id: _Optional[str] = ..., points: _Optional[int] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., first_time_ms: _Optional[int] = ..., last_time_ms: _Optional[int] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("run_id", "metrics", "ranks", "start", "stop", "all_attempts", "after")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    ALL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metrics: _containers.RepeatedScalarFieldContainer[str]
    ranks: _containers.RepeatedScalarFieldContainer[int]
    start: int
    stop: int
    all_attempts: bool
    after: bytes
    def __init__(self, run_id: _Optional[str] = ..., metrics: _Optional[_Iterable[str]] = ..., ranks: _Optional[_Iterable[int]] = ..., start: _Optional[int] = ..., stop: _Optional[int] = ..., all_attempts: _Optional[bool] = ..., after: _Optional[bytes] = ...) -> None: ...

class ExportChunk(_message.Message):
    __slots__ = ("slices", "step", "time_ms", "value", "cursor", "expired")
    SLICES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    slices: _containers.RepeatedCompositeFieldContainer[SeriesSlice]
    step: bytes
    time_ms: bytes
    value: bytes
    cursor: bytes
    expired: _containers.RepeatedCompositeFieldContainer[ExpiredPoints]
    def __init__(self, slices: _Optional[_Iterable[_Union[SeriesSlice, _Mapping]]] = ..., step: _Optional[bytes] = ..., time_ms: _Optional[bytes] = ..., value: _Optional[bytes] = ..., cursor: _Optional[bytes] = ..., expired: _Optional[_Iterable[_Union[ExpiredPoints, _Mapping]]] = ...) -> None: ...

class SeriesSlice(_message.Message):
    __slots__ = ("metric", "rank", "attempt", "rows", "run_id")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    metric: str
    rank: int
    attempt: int
    rows: int
    run_id: str
    def __init__(self, metric: _Optional[str] = ..., rank: _Optional[int] = ..., attempt: _Optional[int] = ..., rows: _Optional[int] = ..., run_id: _Optional[str] = ...) -> None: ...

class ChartRequest(_message.Message):
    __slots__ = ("run_ids", "metrics", "points", "x", "start", "stop", "ranks", "common_grid", "columns", "smoothing", "quantiles", "group_by", "log_x", "all_attempts", "at_start", "at_stop", "together")
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    COMMON_GRID_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    LOG_X_FIELD_NUMBER: _ClassVar[int]
    ALL_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    AT_START_FIELD_NUMBER: _ClassVar[int]
    AT_STOP_FIELD_NUMBER: _ClassVar[int]
    TOGETHER_FIELD_NUMBER: _ClassVar[int]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    metrics: _containers.RepeatedScalarFieldContainer[str]
    points: int
    x: str
    start: int
    stop: int
    ranks: RankSelection
    common_grid: bool
    columns: _containers.RepeatedScalarFieldContainer[str]
    smoothing: Smoothing
    quantiles: _containers.RepeatedScalarFieldContainer[float]
    group_by: str
    log_x: bool
    all_attempts: bool
    at_start: float
    at_stop: float
    together: bool
    def __init__(self, run_ids: _Optional[_Iterable[str]] = ..., metrics: _Optional[_Iterable[str]] = ..., points: _Optional[int] = ..., x: _Optional[str] = ..., start: _Optional[int] = ..., stop: _Optional[int] = ..., ranks: _Optional[_Union[RankSelection, _Mapping]] = ..., common_grid: _Optional[bool] = ..., columns: _Optional[_Iterable[str]] = ..., smoothing: _Optional[_Union[Smoothing, _Mapping]] = ..., quantiles: _Optional[_Iterable[float]] = ..., group_by: _Optional[str] = ..., log_x: _Optional[bool] = ..., all_attempts: _Optional[bool] = ..., at_start: _Optional[float] = ..., at_stop: _Optional[float] = ..., together: _Optional[bool] = ...) -> None: ...

class Smoothing(_message.Message):
    __slots__ = ("ema", "ema_over_x", "gaussian")
    EMA_FIELD_NUMBER: _ClassVar[int]
    EMA_OVER_X_FIELD_NUMBER: _ClassVar[int]
    GAUSSIAN_FIELD_NUMBER: _ClassVar[int]
    ema: float
    ema_over_x: float
    gaussian: float
    def __init__(self, ema: _Optional[float] = ..., ema_over_x: _Optional[float] = ..., gaussian: _Optional[float] = ...) -> None: ...

class RankSelection(_message.Message):
    __slots__ = ("band", "all", "rank", "stragglers")
    BAND_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    STRAGGLERS_FIELD_NUMBER: _ClassVar[int]
    band: bool
    all: bool
    rank: int
    stragglers: int
    def __init__(self, band: _Optional[bool] = ..., all: _Optional[bool] = ..., rank: _Optional[int] = ..., stragglers: _Optional[int] = ...) -> None: ...

class ChartLine(_message.Message):
    __slots__ = ("run_id", "metric", "rank", "bucket_width", "tier_width", "rows", "x", "min", "max", "mean", "first", "last", "argmin", "argmax", "count", "nonfinite", "at", "argnonfinite", "smooth", "quantiles", "group", "group_run_ids", "group_runs", "deviation", "widths", "attempt", "defined_x", "others")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    BUCKET_WIDTH_FIELD_NUMBER: _ClassVar[int]
    TIER_WIDTH_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    ARGMIN_FIELD_NUMBER: _ClassVar[int]
    ARGMAX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NONFINITE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ARGNONFINITE_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    GROUP_RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    GROUP_RUNS_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    WIDTHS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DEFINED_X_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    metric: str
    rank: int
    bucket_width: int
    tier_width: int
    rows: int
    x: bytes
    min: bytes
    max: bytes
    mean: bytes
    first: bytes
    last: bytes
    argmin: bytes
    argmax: bytes
    count: bytes
    nonfinite: bytes
    at: bytes
    argnonfinite: bytes
    smooth: bytes
    quantiles: _containers.RepeatedScalarFieldContainer[bytes]
    group: str
    group_run_ids: _containers.RepeatedScalarFieldContainer[str]
    group_runs: bytes
    deviation: float
    widths: bytes
    attempt: int
    defined_x: str
    others: _containers.RepeatedCompositeFieldContainer[ChartLine]
    def __init__(self, run_id: _Optional[str] = ..., metric: _Optional[str] = ..., rank: _Optional[int] = ..., bucket_width: _Optional[int] = ..., tier_width: _Optional[int] = ..., rows: _Optional[int] = ..., x: _Optional[bytes] = ..., min: _Optional[bytes] = ..., max: _Optional[bytes] = ..., mean: _Optional[bytes] = ..., first: _Optional[bytes] = ..., last: _Optional[bytes] = ..., argmin: _Optional[bytes] = ..., argmax: _Optional[bytes] = ..., count: _Optional[bytes] = ..., nonfinite: _Optional[bytes] = ..., at: _Optional[bytes] = ..., argnonfinite: _Optional[bytes] = ..., smooth: _Optional[bytes] = ..., quantiles: _Optional[_Iterable[bytes]] = ..., group: _Optional[str] = ..., group_run_ids: _Optional[_Iterable[str]] = ..., group_runs: _Optional[bytes] = ..., deviation: _Optional[float] = ..., widths: _Optional[bytes] = ..., attempt: _Optional[int] = ..., defined_x: _Optional[str] = ..., others: _Optional[_Iterable[_Union[ChartLine, _Mapping]]] = ...) -> None: ...

class SqlRequest(_message.Message):
    __slots__ = ("query", "format")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    query: str
    format: str
    def __init__(self, query: _Optional[str] = ..., format: _Optional[str] = ...) -> None: ...

class SqlChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
