"""Waiting until an embedded store has nothing left to merge: `python -m bench.merges DATA` prints
the seconds that took."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from stepline_ingest.store import open_store
from stepline_ingest.store.contract import Store

_QUIET = 0.5
"""The scheduler of the engine looks for work several times in this many seconds."""


def settle(store: Store) -> float:
    """Seconds until the last merge ended."""
    began = last = time.perf_counter()
    while time.perf_counter() - last < _QUIET:
        if store.query("SELECT count() FROM system.merges") != [(0,)]:
            last = time.perf_counter()
        time.sleep(0.02)
    return last - began


def wait_for_merges(data: Path) -> float:
    """The same in a process of its own, because an engine and a process belong together."""
    command = [sys.executable, "-m", "bench.merges", str(data)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    store = open_store(None, Path(sys.argv[1]))
    print(settle(store))
    store.close()


if __name__ == "__main__":
    main()
