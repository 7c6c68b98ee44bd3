"""What happens every few seconds while a run logs: the writer calls this from within `log()`."""

from __future__ import annotations

import time
from collections import deque

from . import notices
from .delivery import Delivery
from .writers import PointWriter

_SAMPLES = 1_000


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

    def attach(self, writer: PointWriter) -> None:
        """The writer can only be made after its pulse, so it comes second."""
        self._writer = writer

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
        except Exception as error:
            if not self._warned:
                self._warned = True
                notices.line(
                    f"the uploader cannot be started ({error}); points stay in {writer.path}"
                )

    def lag(self, acked_seq: int) -> float:
        """Seconds that the oldest unacknowledged record has waited at most."""
        began = self._began
        for when, seq in self._samples:
            if seq > acked_seq:
                break
            began = when
        return time.monotonic() - began
