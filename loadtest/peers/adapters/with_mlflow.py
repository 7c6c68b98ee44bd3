"""MLflow with its local store: `mlflow.log_metrics`. PEER_ASYNC=1 takes its asynchronous logger.
Read back with `MlflowClient`."""

from __future__ import annotations

import os
from pathlib import Path


class Tracker:
    def __init__(self, folder: str) -> None:
        import mlflow

        self._mlflow = mlflow
        self._asynchronous = os.environ.get("PEER_ASYNC") == "1"
        mlflow.set_tracking_uri(store(folder))
        mlflow.create_experiment("peers", artifact_location=Path(folder, "artifacts").as_uri())
        mlflow.set_experiment("peers")
        mlflow.start_run()

    def log(self, metrics: dict[str, float], step: int) -> None:
        self._mlflow.log_metrics(metrics, step, synchronous=not self._asynchronous)

    def finish(self) -> None:
        if self._asynchronous:
            self._mlflow.flush_async_logging()
        self._mlflow.end_run()


def store(folder: str) -> str:
    """SQLite, what MLflow takes when it is told nothing."""
    return f"sqlite:///{folder}/mlflow.db"


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    from mlflow import MlflowClient

    client = MlflowClient(store(folder))
    points = 0
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            for name in run.data.metrics:
                points += len(client.get_metric_history(run.info.run_id, name))
    return points
