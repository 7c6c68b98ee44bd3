"""The log: one event a line, as text for people or JSON for machines.

A line has the keys time, level, event, message, logger, and those that its event brings: run,
writer, rank, code, reason, seconds, ... A line that repeats itself is thinned out: of the lines
with the same text before its values are filled in, BURST pass in WINDOW seconds, and the next one
that passes says how many did not. What ends the process is never left out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

FORMATS = ("text", "json")
BURST = 20
WINDOW = 10.0

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NO_EVENT = "log"


def setup(*, level: str, form: str) -> None:
    """Sends everything at LEVEL and above to standard error, in FORM."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(Thinner())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its lines at debug are about its own event loop.
    logging.getLogger("grpc").setLevel(max(logging.INFO, root.level))


class Thinner(logging.Filter):
    """Lets BURST lines of a kind through in WINDOW seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, int, object], _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.CRITICAL:
            return True
        # The text comes from the source, so there are only so many kinds.
        kind = (record.name, record.levelno, record.msg if record.args else record.lineno)
        now = self._now()
        with self._lock:
            count = self._kinds.setdefault(kind, _Count(now))
            if now - count.since >= WINDOW:
                left_out, count.left_out = count.left_out, 0
                count.since, count.passed = now, 0
                if left_out:
                    record.left_out = left_out
            if count.passed >= BURST:
                count.left_out += 1
                return False
            count.passed += 1
            return True


class _Count:
    __slots__ = ("left_out", "passed", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.passed = 0
        self.left_out = 0


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.000 INFO stepline_ingest.push: a stream of ... ends`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s")
        self.datefmt = "%Y-%m-%d %H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        # A value that a client chose must not begin a line of its own.
        first, *rest = super().format(record).split("\n")
        left_out = getattr(record, "left_out", 0)
        if left_out:
            first += f" ({left_out} more like it were left out)"
        return "\n".join([first, *("    " + line for line in rest)])


class JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "event": _NO_EVENT,
            "message": record.getMessage(),
            "logger": record.name,
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
