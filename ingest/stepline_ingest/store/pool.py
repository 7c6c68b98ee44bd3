"""Connections to the embedded engine.

Invariants - A connection serves one call at a time: two threads on one connection lose each other's
parameters. - A connection whose call failed is closed. The engine may keep output of a failed
query, and would hand it to the next one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .errors import StoreError


class Pool:
    """Opens as many connections as calls run at the same time, and keeps them."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._pid = os.getpid()
        self._idle: list[Any] = []
        self._busy = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def connection(self, *, keep: bool = True) -> Iterator[Any]:
        """A connection for one call. Not KEEP: a fresh one that is closed afterwards."""
        connection = self._take(fresh=not keep)
        sound = False
        try:
            yield connection
            sound = True
        finally:
            self._give_back(connection, keep=keep and sound)

    def close(self, patience: float) -> bool:
        """Refuses new calls and waits for those that run. False when some still do after PATIENCE
        seconds."""
        with self._changed:
            self._closed = True
            quiet = self._changed.wait_for(lambda: self._busy == 0, patience)
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        return quiet

    def _take(self, *, fresh: bool) -> Any:
        if os.getpid() != self._pid:
            raise StoreError(
                "the embedded store was opened by another process: "
                "open it after the fork, in one process only"
            )
        with self._changed:
            if self._closed:
                raise StoreError("the store is closed")
            self._busy += 1
            connection = self._idle.pop() if self._idle and not fresh else None
        if connection is not None:
            return connection
        try:
            return self._connect()
        except BaseException:
            self._leave()
            raise

    def _give_back(self, connection: Any, *, keep: bool) -> None:
        with self._changed:
            keep = keep and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
