"""TensorBoard's own event writer, without torch: one event a call that holds all values. Read back
with its event file loader."""

from __future__ import annotations

import time
from pathlib import Path


class Tracker:
    def __init__(self, folder: str) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary, self._value = Event, Summary, Summary.Value
        self._writer = EventFileWriter(folder)

    def log(self, metrics: dict[str, float], step: int) -> None:
        value = self._value
        values = [value(tag=name, simple_value=number) for name, number in metrics.items()]
        self._writer.add_event(
            self._event(wall_time=time.time(), step=step, summary=self._summary(value=values))
        )

    def finish(self) -> None:
        self._writer.close()


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return sum(
        len(event.summary.value)
        for path in Path(folder).glob("events.out.tfevents.*")
        for event in EventFileLoader(str(path)).Load()
    )
