"""The steady scenario: every user is one rank that sends a batch of ROWS steps x METRICS metrics as
fast as it is acknowledged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from locust import constant, events, task

from loadtest.grpc_user import WriterUser, records
from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2

ROWS = int(os.environ.get("LOAD_ROWS", "100"))
METRICS = int(os.environ.get("LOAD_METRICS", "100"))


@events.quitting.add_listener
def write_totals(environment: Any, **_: Any) -> None:
    """What locust counted, once every user has stopped."""
    if "LOAD_RESULT" in os.environ:
        total = environment.stats.total
        result = {
            "points": total.total_content_length,
            "p50_ms": total.get_response_time_percentile(0.5),
            "p99_ms": total.get_response_time_percentile(0.99),
        }
        Path(os.environ["LOAD_RESULT"]).write_text(json.dumps(result))


class SteadyWriter(WriterUser):
    wait_time = constant(0)

    def on_start(self) -> None:
        super().on_start()
        self.encoder = _core.BatchEncoder()
        self.names = [f"load/metric{i:04d}" for i in range(METRICS)]

    @task
    def send(self) -> None:
        first, last = self.seq + 1, self.seq + ROWS
        self.seq = last
        encoded = self.encoder.encode(list(records(first, ROWS, self.names)))
        self.push(
            ingest_pb2.Batch(first_seq=first, last_seq=last, columnar=encoded), ROWS * METRICS
        )
