"""Stepline: `Run.log`. With PEER_SERVER a service stores the points, without it the run is offline.
Read back from the service; spools that still wait are sent first, as `stepline sync` does."""

from __future__ import annotations

import os
from pathlib import Path

import stepline


class Tracker:
    def __init__(self, folder: str) -> None:
        server = os.environ.get("PEER_SERVER")
        self._run = stepline.init(
            project="peers",
            run_id=Path(folder).name,
            mode="online" if server else "offline",
            server=server,
            dir=folder,
        )
        self.log = self._run.log

    def finish(self) -> None:
        self._run.finish(timeout=120)


def start(folder: str) -> Tracker:
    return Tracker(folder)


def count(folder: str) -> int:
    from stepline import _core

    server = os.environ["PEER_READER"]
    _core.drain(folder, server=server, timeout=120.0)
    with stepline.connect(server) as client:
        run = Path(folder).name
        found = client.sql(f"SELECT count() FROM points WHERE run = '{run}'")  # noqa: S608
        return int(found.rows[0][0])
