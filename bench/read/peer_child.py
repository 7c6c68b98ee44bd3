"""Runs in the environment of a peer: `python peer_child.py NAME FOLDER POINTS SECONDS`.

Writes POINTS points of one metric the fastest way that the peer documents (fewer when SECONDS are
up), then reads them back as its own user interface or API does. Prints JSON: points, write and read
in seconds. Knows nothing of Stepline.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator

METRIC = "loss"
ROUNDS = 3


def value(step: int) -> float:
    return 2 / (1 + step / 1e4) + 0.05 * math.sin(step * 12.9898)


def steps(points: int, seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    for step in range(points):
        if step % 1000 == 0 and time.monotonic() > end:
            return
        yield step


def tensorboard(folder: str, points: int, seconds: float) -> tuple[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer, written = EventFileWriter(folder), 0
    for step in steps(points, seconds):
        entry = Summary.Value(tag=METRIC, simple_value=value(step))
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[entry])))
        written += 1
    writer.close()

    def read() -> int:
        found = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
        found.Reload()
        tags = found.Tags()
        events = found.Scalars(METRIC) if METRIC in tags["scalars"] else found.Tensors(METRIC)
        return len(events)

    return written, timed(read, written)


def mlflow(folder: str, points: int, seconds: float) -> tuple[int, float]:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client, written = MlflowClient(f"sqlite:///{folder}/mlflow.db"), 0
    experiment = client.create_experiment("read", artifact_location=f"file://{folder}/a")
    run = client.create_run(experiment).info.run_id
    batch = []
    for step in steps(points, seconds):
        batch.append(Metric(METRIC, value(step), 1_790_000_000_000 + step, step))
        if len(batch) == 1000:
            client.log_batch(run, metrics=batch)
            written += len(batch)
            batch = []
    return written, timed(lambda: len(client.get_metric_history(run, METRIC)), written)


def trackio(folder: str, points: int, seconds: float) -> tuple[int, float]:
    os.environ["TRACKIO_DIR"] = folder
    import trackio as library
    from trackio.sqlite_storage import SQLiteStorage

    run = library.init(
        project="read", name="read", embed=False, auto_log_gpu=False, auto_log_cpu=False
    )
    for step in steps(points, seconds):
        run.log({METRIC: value(step)}, step)
    library.finish()
    written = len(SQLiteStorage.get_logs("read", run="read"))
    return written, timed(lambda: len(SQLiteStorage.get_logs("read", run="read")), written)


def aim(folder: str, points: int, seconds: float) -> tuple[int, float]:
    from aim import Repo, Run

    Repo.from_path(folder, init=True)
    run = Run(
        repo=folder,
        experiment="read",
        system_tracking_interval=None,
        log_system_params=False,
        capture_terminal_logs=False,
    )
    written = 0
    for step in steps(points, seconds):
        run.track(value(step), name=METRIC, step=step)
        written += 1
    run.close()
    # Reading goes by an index that Aim's user interface keeps; nobody has built it yet.
    command = [os.path.join(os.path.dirname(sys.executable), "aim"), "storage", "--repo", folder]
    subprocess.run([*command, "reindex", "--yes"], check=True, capture_output=True)

    def read() -> int:
        repo = Repo.from_path(folder)
        runs = [Run(name, repo=repo, read_only=True) for name in repo.list_all_runs()]
        return sum(len(metric.values.sparse_numpy()[0]) for run in runs for metric in run.metrics())

    return written, timed(read, written)


def timed(read: object, written: int) -> float:
    """The fastest of some reads, each of which must see every point."""
    assert callable(read)
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        found = read()
        taken.append(time.perf_counter() - begun)
        assert found == written, f"{found} of {written} points were read"
    return min(taken)


if __name__ == "__main__":
    name, folder, points, seconds = sys.argv[1:]
    begun = time.monotonic()
    written, read = {"tensorboard": tensorboard, "mlflow": mlflow, "trackio": trackio, "aim": aim}[
        name
    ](folder, int(points), float(seconds))
    print(json.dumps({"points": written, "read": read, "all": time.monotonic() - begun}))
