"""Batches encoded once by the Rust core and sent by many writers, so that the load generator costs
little beside the service that it loads.

The columnar format names metrics once a stream. A batch that opens a stream carries the names,
those after it do not; the numbers of the names are the same in every stream, because every stream
sends the same names in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from loadtest import values
from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2


class Tape:
    """Batches of ROWS steps x METRICS metrics: sequences and steps 1..ROWS, ROWS+1..2*ROWS, and so
    on."""

    def __init__(self, *, rows: int, metrics: int, batches: int) -> None:
        self.rows, self.metrics = rows, metrics
        self.points_of_batch = rows * metrics
        self._names = values.names(metrics)
        self._opening: dict[int, ingest_pb2.PushRequest] = {}
        encoder = _core.BatchEncoder()
        self._following = [
            self._request(number, encoder.encode(self._records(number)))
            for number in range(batches)
        ]

    def __len__(self) -> int:
        return len(self._following)

    def last_seq(self, number: int) -> int:
        return (number + 1) * self.rows

    def request(self, number: int, *, opening: bool) -> ingest_pb2.PushRequest:
        """Batch NUMBER as a message; OPENING when it is the first one of its stream."""
        if not opening or number == 0:
            return self._following[number]
        if number not in self._opening:
            encoded = _core.BatchEncoder().encode(self._records(number))
            self._opening[number] = self._request(number, encoded)
        return self._opening[number]

    def _request(self, number: int, encoded: bytes) -> ingest_pb2.PushRequest:
        return ingest_pb2.PushRequest(
            batch=ingest_pb2.Batch(
                first_seq=number * self.rows + 1, last_seq=self.last_seq(number), columnar=encoded
            )
        )

    def _records(self, number: int) -> Sequence[tuple[int, int, int, dict[str, float]]]:
        now = int(time.time() * 1000)
        steps = np.arange(number * self.rows + 1, (number + 1) * self.rows + 1, dtype=np.int64)
        table = values.matrix(steps, self.metrics).tolist()
        return [
            (step, step, now, dict(zip(self._names, row, strict=True)))
            for step, row in zip(steps.tolist(), table, strict=True)
        ]
