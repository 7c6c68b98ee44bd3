"""Calls at the store that are repeated until their outcome is known."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor

from stepline import _core
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import metrics
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

REMEMBERED = 30.0
"""Seconds after which a failure says nothing about the store any more. Clients that were sent away
come back sooner than that and try it again."""


class Poisoned(Exception):
    """The data itself is refused: sending it again would change nothing. It is not stored."""


class Unstored(Exception):
    """The store fails, and nothing of the call took effect."""


class Undecided(Unstored):
    """What was said cannot be relied on: an earlier attempt may have taken effect, or none. No
    attempt is under way any more, so the store knows."""


class Persistence:
    """Repeats a call with backoff: as long as the store's patience lasts, and beyond it while an
    attempt may have taken effect.

    A call must be harmless when repeated: it carries a token, or it replaces what is there.
    """

    def __init__(self, executor: Executor, limits: Limits) -> None:
        self._executor = executor
        self._limits = limits
        self._open: dict[Callable[[], None], str] = {}
        """Calls of unknown outcome that are out of patience: what the store said last."""
        self._refused: tuple[str, float] | None = None
        """What the store said to the last call, and when, if that call failed for good."""

    @property
    def down(self) -> str | None:
        """What the store said last, while a call of unknown outcome is out of patience."""
        return next(iter(self._open.values()), None)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be stored; None when it can, as far as is known. A failure counts until a
        call succeeds or nobody has tried for REMEMBERED seconds."""
        if self._open:
            return self.down
        if self._refused is None or time.monotonic() - self._refused[1] > REMEMBERED:
            return None
        return self._refused[0]

    async def until_known(
        self, call: Callable[[], None], gave_up: Callable[[str], None] = lambda reason: None
    ) -> bool:
        """Returns when CALL succeeds, and whether an attempt had failed before. Raises Poisoned or
        Unstored when it is known that nothing took effect, and Undecided.

        When the patience ends before the outcome is known, GAVE_UP is called once and the attempts
        go on.
        """
        try:
            failed_before = await self._repeat(call, gave_up)
            self._refused = None
            return failed_before
        except Unstored as failure:
            self._refused = (str(failure), time.monotonic())
            raise
        finally:
            if self._open.pop(call, None) is not None:
                log.warning("the outcome is known at last")

    async def _repeat(self, call: Callable[[], None], gave_up: Callable[[str], None]) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.store_patience
        pause = self._limits.retry_min
        unknown = blamed = failed = False
        while True:
            attempt = loop.run_in_executor(self._executor, call)
            # Heard also when this task is cancelled meanwhile.
            attempt.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            if call not in self._open:
                patience = max(self._limits.retry_max, end - loop.time())
                await asyncio.wait({attempt}, timeout=patience)
                if not attempt.done():
                    self._give_up(call, gave_up, "it does not answer")
            try:
                await attempt
            except (_core.CoreError, _core.PanicException) as error:
                raise Poisoned(str(error)) from error
            except StoreError as error:
                # What was cut on its way is blamed as well, and bytes that are bad are bad every
                # time. So it must be said twice in a row.
                if error.blames_data and blamed:
                    if not unknown:
                        raise Poisoned(str(error)) from error
                    if loop.time() >= end:
                        raise Undecided(str(error)) from error
                blamed = error.blames_data
                unknown = unknown or error.outcome_unknown
                reason = str(error)
            except Exception as error:
                # Nothing that the store foresaw, so it may have happened after the commit.
                log.exception("a call at the store failed in an unforeseen way")
                unknown, blamed = True, False
                reason = repr(error)
            else:
                return failed
            failed = True
            metrics.store_failed()
            log.warning(
                "the store failed, trying again: %s", reason, extra={"event": "store_failed"}
            )
            if loop.time() >= end and (unknown or not blamed):
                if not unknown:
                    raise Unstored(reason)
                self._give_up(call, gave_up, reason)
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(pause * 2, self._limits.retry_max)

    def _give_up(
        self, call: Callable[[], None], gave_up: Callable[[str], None], reason: str
    ) -> None:
        first = call not in self._open
        self._open[call] = reason
        if first:
            log.error(
                "the store has been failing for %.0f s: %s", self._limits.store_patience, reason
            )
            gave_up(reason)
