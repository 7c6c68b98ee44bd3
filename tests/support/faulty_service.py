"""`stepline serve` whose store fails on command: the real service over the real engine, with the
calls of the store and the wall clock wrapped by `Faults`."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.faults import ENVIRONMENT, LIMITS, Faults, clock_offset


def bend_clock() -> None:
    """Before anything keeps `time.time` as a default argument. Who takes no orders has the true
    time."""
    true_time, true_time_ns = time.time, time.time_ns

    def offset() -> float:
        directory = os.environ.get(ENVIRONMENT)
        return clock_offset(Path(directory)) if directory else 0.0

    time.time = lambda: true_time() + offset()
    time.time_ns = lambda: true_time_ns() + int(offset() * 1e9)


def main() -> int:
    faults = Faults(Path(os.environ[ENVIRONMENT]))
    import stepline_ingest.main
    from stepline_ingest.limits import Limits
    from stepline_ingest.store.embedded import EmbeddedStore

    limits = Limits(**json.loads(os.environ[LIMITS]))
    service: Any = stepline_ingest.main
    service.ServeConfig = functools.partial(service.ServeConfig, limits=limits)

    store: Any = EmbeddedStore
    store.insert_points = faults.around("insert", EmbeddedStore.insert_points)
    store.command = faults.around("command", EmbeddedStore.command)
    return stepline_ingest.main.serve(sys.argv[1:])


if __name__ == "__main__":
    bend_clock()
    sys.exit(main())
