"""Which months of points have been replaced by what is kept of them, for those who read.

What is kept of a month lies in `raw_cells` under the number of a *fill* (retention/). A fill counts
from the moment that the points go. Between the two there is an instant at which a statement would
see both or neither: whoever begins to read then waits, and whoever has read across it reads again.

One process changes this, the service that owns the store; others that have it open see what was
when they opened it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from .errors import StoreError
from .params import Param, Setting

Result = TypeVar("Result")

PATIENCE = 30.0
"""Seconds that a reader waits while a month goes."""

COUNTING = "SELECT fill FROM raw_expiry FINAL WHERE state IN ('filled', 'dropped') ORDER BY fill"
"""The fills that count."""


@dataclass(frozen=True, slots=True)
class Fills:
    """Those that counted at one time."""

    numbers: tuple[int, ...]
    epoch: int

    def __bool__(self) -> bool:
        return bool(self.numbers)


class Expired:
    """For any thread."""

    def __init__(self, query: Callable[[str], list[tuple[object, ...]]]) -> None:
        """QUERY runs a statement at the store."""
        self._query = query
        self._changed = threading.Condition()
        self._numbers: tuple[int, ...] | None = None
        self._epoch = 0
        self._changing = False

    def fills(self) -> Fills:
        """Those that count now; waits while that changes. Raises StoreError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._changing, PATIENCE):
                raise StoreError(
                    "points are being replaced by their rollups, and the store does not answer: "
                    "try again later",
                    is_retryable=True,
                )
            numbers, epoch = self._numbers, self._epoch
        if numbers is None:
            numbers = tuple(int(str(fill)) for (fill,) in self._query(COUNTING))
            with self._changed:
                # Else it may have been read before a change that is over already.
                if self._epoch == epoch and not self._changing:
                    self._numbers = numbers
        return Fills(numbers, epoch)

    def unchanged(self, since: Fills) -> bool:
        """Whether what was read under SINCE is of one moment."""
        with self._changed:
            return since.epoch == self._epoch

    def settled(self, read: Callable[[Fills], Result]) -> Result:
        """What READ returns, which reads under the fills that it gets, of one moment. Raises what
        READ raises, StoreError."""
        while True:
            fills = self.fills()
            found = read(fills)
            if self.unchanged(fills):
                return found

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Readers wait until the end of the block, and look anew which fills count."""
        with self._changed:
            self._changing = True
            self._epoch += 1
        try:
            yield
        finally:
            with self._changed:
                self._numbers = None
                self._changing = False
                self._epoch += 1
                self._changed.notify_all()


def among(fills: Fills) -> tuple[str, dict[str, Param]]:
    """The condition of rows of raw_cells and raw_marks that count, and its parameters."""
    return "fill IN {fills:Array(UInt64)}", {"fills": list(fills.numbers)}


KEPT: dict[str, Setting] = {"max_threads": 1}
"""Rows come in the order in which they lie, so that sums of them have the same last bits."""
