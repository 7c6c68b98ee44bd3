"""The instruments, behind methods that say what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from .names import Kind, Name, Spec
from .reasons import AuthFailure, QueryKind, Refusal, RejectReason

# A second series for each one, which nobody reads: a restart shows in process_start_time_seconds.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters and gauges of one service, in a registry of its own."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._instruments: dict[Name, Any] = {
            name: _instrument(name.spec, self._registry) for name in Name
        }
        # Looked up once, as are the labels below: for what happens with every batch the look-up
        # would cost as much as the increment.
        self._batches_received = self._instruments[Name.BATCHES_RECEIVED]
        self._bytes_received = self._instruments[Name.BYTES_RECEIVED]
        self._points_received = self._instruments[Name.POINTS_RECEIVED]
        self._batches_stored = self._instruments[Name.BATCHES_STORED]
        self._bytes_stored = self._instruments[Name.BYTES_STORED]
        self._ack_seconds = self._instruments[Name.ACK_SECONDS]
        self._labelled = {
            (name, value): self._instruments[name].labels(value.value)
            for name in Name
            if name.spec.values is not None
            for value in name.spec.values
        }

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    # --- what happened ---

    def received(self, *, nbytes: int) -> None:
        """A batch arrived."""
        self._batches_received.inc()
        self._bytes_received.inc(nbytes)

    def decoded(self, points: int) -> None:
        """A batch of POINTS was understood."""
        self._points_received.inc(points)

    def repeated(self) -> None:
        """A batch held nothing new."""
        self._instruments[Name.BATCHES_REPEATED].inc()

    def stored(self, *, nbytes: int, seconds: float) -> None:
        """A batch is stored, SECONDS after it arrived."""
        self._batches_stored.inc()
        self._bytes_stored.inc(nbytes)
        self._ack_seconds.observe(seconds)

    def rejected(self, reason: RejectReason) -> None:
        """A range of sequences was put aside for ever."""
        self._labelled[Name.BATCHES_REJECTED, reason].inc()

    def group(self, *, points: int, batches: int, seconds: float) -> None:
        """One INSERT took effect."""
        self._instruments[Name.POINTS_STORED].inc(points)
        self._instruments[Name.GROUP_POINTS].observe(points)
        self._instruments[Name.GROUP_BATCHES].observe(batches)
        self._instruments[Name.INSERT_SECONDS].observe(seconds)

    def store_failed(self) -> None:
        """An attempt to write ended with an error."""
        self._instruments[Name.STORE_FAILURES].inc()

    def mark_read(self) -> None:
        self._instruments[Name.MARKS_READ].inc()

    def call_ended(self, method: str, code: str) -> None:
        """A gRPC call; METHOD and CODE come from fixed sets."""
        self._instruments[Name.CALLS].labels(method, code).inc()

    def refused(self, reason: Refusal) -> None:
        """A call was ended with an error. `errors.abort` counts it for every ServiceError."""
        self._labelled[Name.REFUSALS, reason].inc()

    def auth_failed(self, reason: AuthFailure) -> None:
        self._labelled[Name.AUTH_FAILURES, reason].inc()

    def queried(self, kind: QueryKind, seconds: float) -> None:
        self._labelled[Name.QUERY_SECONDS, kind].observe(seconds)

    def run_deleted(self) -> None:
        self._instruments[Name.RUNS_DELETED].inc()

    def expired(self, points: int) -> None:
        """POINTS of one month."""
        self._instruments[Name.MONTHS_EXPIRED].inc()
        self._instruments[Name.POINTS_EXPIRED].inc(points)

    def expiry_failed(self) -> None:
        self._instruments[Name.EXPIRY_FAILURES].inc()

    # --- what is ---

    def set(self, name: Name, value: float, *labels: str) -> None:
        """Sets a gauge."""
        gauge = self._instruments[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def watch(self, name: Name, value: Callable[[], float]) -> None:
        """A gauge that is VALUE() whenever somebody looks; it must be quick and must not fail."""
        self._instruments[name].set_function(value)

    def value(self, name: Name, *labels: str) -> float:
        """What NAME shows now, for tests; a histogram shows how many it has observed."""
        spec = name.spec
        suffix = "_count" if spec.kind is Kind.HISTOGRAM else ""
        found = self._registry.get_sample_value(
            spec.name + suffix, dict(zip(spec.labels, labels, strict=True))
        )
        return 0.0 if found is None else found


def _instrument(spec: Spec, registry: CollectorRegistry) -> Any:
    if spec.kind is Kind.HISTOGRAM:
        return Histogram(spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)
    kind = Counter if spec.kind is Kind.COUNTER else Gauge
    return kind(spec.name, spec.help, spec.labels, registry=registry)
