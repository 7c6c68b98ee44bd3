"""Every metric of the service. docs/operations.md has a row for each; a test compares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .reasons import AuthFailure, QueryKind, Refusal, RejectReason


class Kind(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Spec:
    """What Prometheus is told of a metric. Names end with their unit, counters with `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: type[Enum] | None = None
    """Where the values of the only label come from; all of them are shown from the start, so that
    a first failure is a step from 0 to 1."""
    buckets: tuple[float, ...] = ()


_SECONDS = tuple(m / 1000 for m in (1, 2.5, 5, 10, 25, 50, 100, 250, 500)) + tuple(
    float(s) for s in (1, 2.5, 5, 10, 30, 60)
)
_POINTS = tuple(float(m * 10**n) for n in range(1, 7) for m in (1, 2, 5))
_BATCHES = tuple(float(2**n) for n in range(13))


def _counter(name: str, text: str, label: str = "", values: type[Enum] | None = None) -> Spec:
    return Spec(name, Kind.COUNTER, text, (label,) if label else (), values)


def _gauge(name: str, text: str, *labels: str) -> Spec:
    return Spec(name, Kind.GAUGE, text, labels)


def _histogram(
    name: str,
    text: str,
    buckets: tuple[float, ...],
    label: str = "",
    values: type[Enum] | None = None,
) -> Spec:
    return Spec(name, Kind.HISTOGRAM, text, (label,) if label else (), values, buckets)


class Name(Enum):
    """One member a metric. A name that was released keeps its meaning."""

    # --- points on their way in ---
    BATCHES_RECEIVED = _counter("stepline_batches_received_total", "Batches that arrived.")
    BYTES_RECEIVED = _counter(
        "stepline_batch_bytes_received_total", "Bytes of batches that arrived, as they travel."
    )
    POINTS_RECEIVED = _counter("stepline_points_received_total", "Points in batches decoded.")
    BATCHES_REPEATED = _counter(
        "stepline_batches_repeated_total", "Batches that arrived although all of them was stored."
    )
    BATCHES_STORED = _counter("stepline_batches_stored_total", "Batches stored and acknowledged.")
    BYTES_STORED = _counter(
        "stepline_batch_bytes_stored_total", "Bytes of stored batches, as they travelled."
    )
    POINTS_STORED = _counter("stepline_points_stored_total", "Points stored, each once.")
    BATCHES_REJECTED = _counter(
        "stepline_batches_rejected_total",
        "Ranges of sequences put aside for ever, by reason; the table raw_rejects has them.",
        "reason",
        RejectReason,
    )
    ACK_SECONDS = _histogram(
        "stepline_ack_latency_seconds", "From the arrival of a batch until it is stored.", _SECONDS
    )
    MARKS_READ = _counter(
        "stepline_marks_read_total", "Marks of writers that were computed from stored rows."
    )

    # --- groups ---
    GROUP_POINTS = _histogram("stepline_group_points", "Points of one INSERT.", _POINTS)
    GROUP_BATCHES = _histogram("stepline_group_batches", "Batches of one INSERT.", _BATCHES)
    INSERT_SECONDS = _histogram(
        "stepline_insert_seconds",
        "Time of one INSERT of points, its repetitions included.",
        _SECONDS,
    )
    STORE_FAILURES = _counter(
        "stepline_store_failures_total", "Attempts to write that the store answered with an error."
    )

    # --- what is held ---
    STREAMS = _gauge("stepline_push_streams", "Push streams that are open.")
    WRITERS = _gauge("stepline_writers", "Writers that this process remembers.")
    WATCHERS = _gauge("stepline_watch_streams", "Streams that are told what changes of charts.")
    INFLIGHT_BYTES = _gauge(
        "stepline_inflight_bytes", "Memory of batches received and not yet settled."
    )
    INFLIGHT_LIMIT_BYTES = _gauge(
        "stepline_inflight_limit_bytes", "What stepline_inflight_bytes may grow to."
    )
    BUDGET_WAITING = _gauge(
        "stepline_budget_waiting_streams", "Streams that wait for memory before they read on."
    )
    QUEUE_BATCHES = _gauge("stepline_commit_queue_batches", "Batches that wait for their group.")
    QUEUE_POINTS = _gauge("stepline_commit_queue_points", "Points that wait for their group.")

    # --- calls ---
    CALLS = Spec(
        "stepline_grpc_calls_total",
        Kind.COUNTER,
        "gRPC calls that ended, by method and code.",
        ("method", "code"),
    )
    REFUSALS = _counter(
        "stepline_refusals_total", "Calls ended with an error, by reason.", "reason", Refusal
    )
    AUTH_FAILURES = _counter(
        "stepline_auth_failures_total", "Keys that were not good enough.", "reason", AuthFailure
    )
    QUERY_SECONDS = _histogram(
        "stepline_query_seconds",
        "Time of one query until its last byte was taken.",
        _SECONDS,
        "kind",
        QueryKind,
    )
    RUNS_DELETED = _counter("stepline_runs_deleted_total", "Runs deleted by request.")

    POINTS_EXPIRED = _counter(
        "stepline_points_expired_total", "Points that were replaced by their rollups."
    )
    MONTHS_EXPIRED = _counter("stepline_months_expired_total", "Months of points replaced.")
    EXPIRY_FAILURES = _counter(
        "stepline_expiry_failures_total", "Times that a month could not be replaced."
    )

    # --- state ---
    READY = _gauge("stepline_ready", "1 while new points are accepted, as /readyz says.")
    LOOP_LAG_SECONDS = _gauge(
        "stepline_event_loop_lag_seconds", "How late the event loop last woke up."
    )
    BACKUP_TIME = _gauge(
        "stepline_backup_last_success_timestamp_seconds",
        "When this process last completed a backup; 0 when it has not.",
    )
    BUILD = _gauge("stepline_build_info", "Always 1; the labels say what runs.", "version", "store")

    # --- the engine and the disk, sampled ---
    ENGINE_MEMORY_BYTES = _gauge(
        "stepline_engine_memory_bytes", "Memory that the engine accounts for."
    )
    PARTS = _gauge("stepline_store_parts", "Active parts of a table.", "table")
    ROWS = _gauge("stepline_store_rows", "Rows of a table.", "table")
    STORE_BYTES = _gauge("stepline_store_bytes", "Bytes of a table on disk.", "table")
    MUTATIONS = _gauge(
        "stepline_store_mutations", "Mutations not finished: deletions, rollups being built."
    )
    MERGES = _gauge("stepline_store_merges", "Merges that run.")
    PARTS_SET_ASIDE = _gauge(
        "stepline_store_parts_set_aside", "Parts that the engine found damaged and does not read."
    )
    OVERDUE_QUERIES = _gauge(
        "stepline_queries_overdue", "Queries that go on a minute after their limit of time."
    )
    DISK_FREE_BYTES = _gauge(
        "stepline_disk_free_bytes", "Free on the file system of the data directory."
    )
    DISK_SIZE_BYTES = _gauge("stepline_disk_size_bytes", "Size of that file system.")
    SAMPLE_TIME = _gauge(
        "stepline_store_sample_timestamp_seconds", "When the engine last answered the sampler."
    )

    @property
    def spec(self) -> Spec:
        value: Spec = self.value
        return value


PROCESS_NAMES = (
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
)
"""What prometheus_client's collector of the process adds, under the names that every dashboard
knows."""
