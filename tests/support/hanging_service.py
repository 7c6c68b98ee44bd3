"""`python -m stepline_ingest`, with a store that stops answering while a file exists.

$STEPLINE_TEST_HANG names the file. What the store is asked then waits for ever, as it would in an
engine that has locked itself up.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepline_ingest import server
from stepline_ingest.main import serve
from stepline_ingest.store import Store, open_store

HANG = "STEPLINE_TEST_HANG"
CALLS = ("insert_points", "insert_rows", "query", "query_raw", "command")


def hanging_store(spec: str | None, data: Path) -> Store:
    """The store, with calls that look at the file first."""
    store = open_store(spec, data)
    for name in CALLS:
        setattr(store, name, _held_up(getattr(store, name)))
    return store


def _held_up(call: Callable[..., Any]) -> Callable[..., Any]:
    file = Path(os.environ[HANG])

    def held_up(*args: Any, **keywords: Any) -> Any:
        while file.exists():
            time.sleep(0.05)
        return call(*args, **keywords)

    return held_up


if __name__ == "__main__":
    server.open_store = hanging_store
    sys.exit(serve(sys.argv[1:]))
