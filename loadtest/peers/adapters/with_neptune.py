"""neptune-scale in offline mode: `Run.log_metrics`. Read back with the repository class that its
`neptune sync` uses."""

from __future__ import annotations

from pathlib import Path


class Tracker:
    def __init__(self, folder: str) -> None:
        from neptune_scale import Run

        self._run = Run(
            project="peers/peers",
            run_id="peers",
            mode="offline",
            log_directory=folder,
            enable_console_log_capture=False,
            source_tracking_config=None,
        )
        self.log = self._run.log_metrics

    def finish(self) -> None:
        self._run.close()


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    from neptune_scale.sync.operations_repository import OperationsRepository, OperationType

    points = 0
    for path in Path(folder).rglob("run_operations.sqlite3"):
        repository = OperationsRepository(path.absolute())
        last = None
        while operations := repository.get_operations(64 << 20, from_exclusive=last):
            last = operations[-1].sequence_id
            points += sum(
                len(operation.operation.append)
                for operation in operations
                if operation.operation_type == OperationType.UPDATE_SNAPSHOT
            )
        repository.close(cleanup_files=False)
    return points
