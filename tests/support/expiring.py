"""`python -m tests.support.expiring DATA MONTH BEGINS`: replaces the points of a month in a process
that is killed behind the first statement that BEGINS so."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from stepline_ingest.retention import expire
from stepline_ingest.store import open_store


def main(data: str, month: str, begins: str) -> None:
    store = open_store(None, Path(data))
    command = store.command

    def dying(sql: str, settings: object = None, **more: object) -> None:
        command(sql, settings, **more)  # type: ignore[arg-type]
        if sql.startswith(begins):
            os.kill(os.getpid(), signal.SIGKILL)

    store.command = dying  # type: ignore[method-assign]
    expire(store, int(month), piece_points=1)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
