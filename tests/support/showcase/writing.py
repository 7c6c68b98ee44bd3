"""Runs and their points, through the protocol."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from stepline_ingest.gen.stepline.v1 import (
    ingest_pb2,
    ingest_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)

BATCH_POINTS = 100_000

Array = np.ndarray


@dataclass
class Series:
    """Points of one metric of one rank, in the order of steps."""

    metric: str
    steps: Array
    values: Array
    times: Array
    """Milliseconds since the epoch."""


@dataclass
class Showcase:
    """Writes runs to a service."""

    address: str
    _channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self._channel = grpc.insecure_channel(self.address)
        self._runs = runs_pb2_grpc.RunsStub(self._channel)
        self._ingest = ingest_pb2_grpc.IngestStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def run(
        self,
        run_id: str,
        ranks: Mapping[int, Sequence[Series]],
        *,
        project: str,
        config: Mapping[str, Any],
        created: int,
        ended: int | None,
        exit_code: int = 0,
        summary: Mapping[str, Any] | None = None,
        name: str = "",
        **fields: Any,
    ) -> None:
        """One run with the points of each rank; it goes on where it has not ended."""
        writers = {rank: uuid.uuid4().bytes for rank in ranks}
        for rank, writer in writers.items():
            request = runs_pb2.CreateRunRequest(
                project=project,
                run_id=run_id,
                name=name or run_id,
                config_json=json.dumps(config),
                resume=runs_pb2.RESUME_ALLOW,
                launch_id=f"{run_id}-1",
                rank=rank,
                world_size=len(ranks),
                writer=writer,
                host=f"node{rank // 8:03d}",
                pid=4_000 + rank,
                created_ms=created,
                **fields,
            )
            self._runs.CreateRun(request)
        for rank, series in ranks.items():
            self._push(run_id, rank, writers[rank], series)
        if summary:
            update = runs_pb2.UpdateRunRequest(run_id=run_id, summary_json=json.dumps(summary))
            self._runs.UpdateRun(update)
        if ended is None:
            return
        for rank, writer in writers.items():
            finish = runs_pb2.FinishRunRequest(
                run_id=run_id, attempt=1, rank=rank, exit_code=exit_code, finished_ms=ended
            )
            finish.writer = writer
            self._runs.FinishRun(finish)

    def _push(self, run_id: str, rank: int, writer: bytes, series: Sequence[Series]) -> None:
        hello = ingest_pb2.Hello(
            writer=writer, run_id=run_id, attempt=1, rank=rank, epoch=1, first_unacknowledged=1
        )
        batches = list(_batches(series))
        # Few enough that the window of the service holds them all.
        assert len(batches) <= 30, "more points than one stream of a showcase takes"
        requests = [
            ingest_pb2.PushRequest(hello=hello),
            *(ingest_pb2.PushRequest(batch=batch) for batch in batches),
        ]
        for reply in self._ingest.Push(iter(requests)):
            if reply.HasField("rejected"):
                raise ValueError(reply.rejected.reason)


def _batches(series: Sequence[Series]) -> Iterator[ingest_pb2.Batch]:
    """All points in the order of their times, one sequence each."""
    names = [one.metric for one in series]
    metric = np.concatenate([np.full(len(one.steps), i) for i, one in enumerate(series)])
    steps, values, times = (
        np.concatenate([getattr(one, column) for one in series])
        for column in ("steps", "values", "times")
    )
    order = np.argsort(times, kind="stable")
    for first in range(0, len(order), BATCH_POINTS):
        rows = order[first : first + BATCH_POINTS]
        last = first + len(rows)
        plain = ingest_pb2.PlainBatch(
            metrics=names,
            metric=metric[rows].tolist(),
            seq=range(first + 1, last + 1),
            step=steps[rows].astype(int).tolist(),
            time_ms=times[rows].astype(int).tolist(),
            value=values[rows].astype(float).tolist(),
        )
        yield ingest_pb2.Batch(first_seq=first + 1, last_seq=last, plain=plain)
