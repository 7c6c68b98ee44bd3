"""The steady scenario: every user is one rank that sends a batch of ROWS steps x METRICS metrics as fast as it is acknowledged."""

from __future__ import annotations

import os

from locust import constant, task

from loadtest.grpc_user import WriterUser, records
from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2

ROWS = int(os.environ.get("LOAD_ROWS", "100"))
METRICS = int(os.environ.get("LOAD_METRICS", "100"))


class SteadyWriter(WriterUser):
    wait_time = constant(0)

    def on_start(self) -> None:
        super().on_start()
        self.names = [f"load/metric{i:04d}" for i in range(METRICS)]

    @task
    def send(self) -> None:
        first, last = self.seq + 1, self.seq + ROWS
        self.seq = last
        encoded = _core.encode_batch(list(records(first, ROWS, self.names)))
        self.push(
            ingest_pb2.Batch(first_seq=first, last_seq=last, columnar=encoded), ROWS * METRICS
        )
