"""trackio on the local disk: `trackio.Run.log`. Read back with `SQLiteStorage.get_logs`, which its
dashboard uses."""

from __future__ import annotations

import os


class Tracker:
    def __init__(self, folder: str) -> None:
        os.environ["TRACKIO_DIR"] = folder
        import trackio

        self._finish = trackio.finish
        run = trackio.init(
            project="peers", name="peers", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )
        self.log = run.log

    def finish(self) -> None:
        self._finish()


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    os.environ["TRACKIO_DIR"] = folder
    from trackio.sqlite_storage import SQLiteStorage

    logs = SQLiteStorage.get_logs("peers", run="peers")
    return sum(isinstance(value, float) for entry in logs for value in entry.values())
