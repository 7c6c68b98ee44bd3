"""How the points of a run leave this host: by the uploader process, by a thread, or not at all."""

from __future__ import annotations

import os
from typing import Protocol

from . import _core


class Delivery(Protocol):
    """Keeps a spool being sent."""

    sends: bool
    """False when nothing is sent before `stepline sync`."""

    def tend(self, spool: str) -> None:
        """Makes sure that somebody sends the spool; called at the start, every few seconds, and at
        the end.
        """

    def stop(self) -> None:
        """Ends what runs inside this process."""


class NoDelivery:
    """A disabled run."""

    sends = False

    def tend(self, spool: str) -> None:
        pass

    def stop(self) -> None:
        pass


class ByProcess:
    """The uploader process of the host, which all runs with the same directory share. Of an offline
    run it sends nothing (the spool waits for `stepline sync`), but keeps it safe from power loss.
    """

    def __init__(self, root: str, *, sends: bool = True) -> None:
        self._root = root
        self.sends = sends

    def tend(self, spool: str) -> None:
        # Imported late: the uploader process runs that module as its main one, which must not be
        # there already because of the package.
        from . import uploader

        uploader.ensure_running(self._root)

    def stop(self) -> None:
        pass


class ByThread:
    """A thread of this process, for places where a second process is not wanted."""

    _GRACE = 5.0

    def __init__(self, *, sends: bool = True) -> None:
        self.sends = sends
        self._thread: _core.UploaderThread | None = None
        self._spool = ""
        self._pid = os.getpid()
        self._inherited: list[_core.UploaderThread] = []

    def tend(self, spool: str) -> None:
        if self._pid != os.getpid():
            # Threads do not survive a fork. Stopping or dropping the parent's would wait for a
            # thread that is not here.
            if self._thread is not None:
                self._inherited.append(self._thread)
            self._thread, self._spool, self._pid = None, "", os.getpid()
        if self._spool != spool:
            self._thread, self._spool = _core.UploaderThread(spool), spool

    def stop(self) -> None:
        if self._thread is not None and self._pid == os.getpid():
            self._thread.stop(self._GRACE)
            self._thread = None
