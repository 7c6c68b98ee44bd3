"""What happens every few seconds while a run logs: the writer calls this from within `log()`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from . import _core, notices
from .delivery import Delivery
from .writers import PointWriter

_SAMPLES = 1_000
_LOOK_EVERY = 5.0
"""Seconds between two looks at whether the service is reached."""
_LOOKS = 2
"""So many in a row must find it out of reach: a restart is not worth a warning."""


class Pulse:
    """Keeps the uploader alive, and remembers when which sequence was logged, which gives the lag.

    Never raises: what goes wrong here must not reach a training loop. It is said once.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._writer: PointWriter | None = None
        self._began = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._warned = False
        self._unreachable: Callable[[str], None] | None = None
        self._looked = self._began
        self._away = 0
        self._late: list[Callable[[], bool]] = []

    def attach(self, writer: PointWriter, unreachable: Callable[[str], None] | None = None) -> None:
        """The writer can only be made after its pulse, so it comes second. UNREACHABLE is called
        once, with the reason, when the service stays out of reach.
        """
        self._writer = writer
        self._unreachable = unreachable

    def later(self, work: Callable[[], bool]) -> None:
        """WORK is done with each beat until it says that it is finished."""
        self._late.append(work)

    def detach(self) -> None:
        """The run is over; lets go of the writer."""
        self._writer = None

    def __call__(self) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            self._samples.append((time.monotonic(), writer.last_seq()))
            self._delivery.tend(writer.path)
            self._look(writer.path)
            self._late = [work for work in self._late if not work()]
        except Exception as error:
            if not self._warned:
                self._warned = True
                notices.line(
                    f"the uploader cannot be started ({error}); points stay in {writer.path}"
                )

    def _look(self, path: str) -> None:
        now = time.monotonic()
        if self._unreachable is None or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        brief = _core.spool_brief(path)
        self._away = self._away + 1 if brief is not None and brief["state"] == "unreachable" else 0
        if self._away >= _LOOKS:
            warn, self._unreachable = self._unreachable, None
            status = _core.spool_status(path)
            warn(status["error"] if status is not None else "")

    def lag(self, acked_seq: int) -> float:
        """Seconds that the oldest unacknowledged record has waited at most."""
        began = self._began
        for when, seq in self._samples:
            if seq > acked_seq:
                break
            began = when
        return time.monotonic() - began
