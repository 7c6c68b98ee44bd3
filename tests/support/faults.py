"""Orders for a service that fails on command: `tests.support.faulty_service` carries them out.

An order is a file, so that the process that dies of it leaves no doubt whether it was reached. One
order is taken by each call, the oldest first; with none left, calls go through.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store
from stepline_ingest.store.errors import StoreError

ENVIRONMENT = "STEPLINE_TEST_FAULTS"
LIMITS = "STEPLINE_TEST_LIMITS"


class Faults:
    """A directory of orders.

    Orders, for the points "insert" (of points) and "command" (of DDL):
    - `pass`
    - `die before`, `die after`: SIGKILL of the process itself
    - `die during SECONDS`: SIGKILL so long after the call began, wherever it is then
    - `fail before`: nothing is stored, and the error says so
    - `fail after`: stored, and the error says that the outcome is unknown
    - `crash after`: stored, and an error that nobody foresaw
    - `hang SECONDS`: the call begins so much later
    - `merge`: meanwhile the store merges its points and builds their rollups
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._next = 0

    # --- the test's side ---

    def env(self, **limits: float) -> dict[str, str]:
        """For the environment of the service, with other limits than its own."""
        root = Path(__file__).resolve().parents[2]
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            ENVIRONMENT: str(self.directory),
            LIMITS: json.dumps(limits),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def order(self, point: str, *orders: str) -> None:
        for text in orders:
            self._next += 1
            hidden = self.directory / f".{self._next:09d}"
            hidden.write_text(text)
            hidden.rename(self.directory / f"{point}-{self._next:09d}")

    def left(self, point: str = "insert") -> int:
        """Orders that no call has taken yet."""
        return sum(1 for _ in self.directory.glob(f"{point}-*"))

    def clear(self) -> None:
        for path in self.directory.glob("*-*"):
            path.unlink(missing_ok=True)

    def set_clock(self, offset: float) -> None:
        """The service's wall clock is wrong by so many seconds from now on."""
        hidden = self.directory / ".clock"
        hidden.write_text(repr(offset))
        hidden.rename(self.directory / "clock")

    # --- the service's side ---

    def around(self, point: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """CALL, with the orders of POINT carried out."""

        def ordered(*args: Any, **kwargs: Any) -> Any:
            order = self._take(point).split()
            match order:
                case ["die", "before"]:
                    _die()
                case ["die", "during", seconds]:
                    threading.Thread(target=_die, args=(float(seconds),), daemon=True).start()
                case ["fail", "before"]:
                    raise StoreError("the store fails on command", is_retryable=True)
                case ["hang", seconds]:
                    time.sleep(float(seconds))
                case ["merge"]:
                    threading.Thread(target=_merge, args=(args[0],), daemon=True).start()
            result = call(*args, **kwargs)
            match order:
                case ["die", "after"]:
                    _die()
                case ["die", "during", _]:
                    time.sleep(60)  # it began too late to die in the call; it must not be settled
                case ["fail", "after"]:
                    raise StoreError("the answer is lost on command", outcome_unknown=True)
                case ["crash", "after"]:
                    raise LookupError("nobody foresaw this")
            return result

        return ordered

    def _take(self, point: str) -> str:
        for path in sorted(self.directory.glob(f"{point}-*")):
            taken = path.with_name("." + path.name)
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue
            return taken.read_text()
        return "pass"


def clock_offset(directory: Path) -> float:
    """The orders in DIRECTORY about the clock, in seconds."""
    try:
        return float((directory / "clock").read_text())
    except FileNotFoundError:
        return 0.0


def _merge(store: Store) -> None:
    store.command("OPTIMIZE TABLE raw_points")
    build_rollups(store)


def _die(seconds: float = 0.0) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)
