"""The pace at which refusals are told.

A program that asks again as soon as it was refused makes the others pay for every refusal. It does
nothing before it has its answer, so the answer is what slows it: beyond a burst, those of a project
are told at a fixed rate, each at most seconds late, on an open stream half a minute. So is what
is said to callers without a good key, all of them together. Runs and streams that a project begins
meanwhile wait as long. Who is refused now and then notices nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import ContextVar

from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal

log = logging.getLogger(__name__)

_BLAMED = frozenset(
    {
        Refusal.INVALID,
        Refusal.SEQUENCE,
        Refusal.WINDOW,
        Refusal.TOO_LARGE,
        Refusal.OVERLOADED,
        Refusal.UNAUTHENTICATED,
        Refusal.DENIED,
    }
)
"""Refusals of what a program is refused again when it asks again at once. Not answers that people
live with: what is not found, what is there already."""

_APART = 0.1
"""Seconds from one to the next of those who wait as long as they can."""
_QUIET = 60.0
"""Seconds between two lines of the log."""

STRANGERS = ""
"""Whoever has shown no good key. No project has this name."""

_answered: ContextVar[tuple[Pace, str] | None] = ContextVar("answered", default=None)


class Pace:
    """A leaky bucket for each project. Lives on the event loop."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = limits.refusals_per_second
        self._burst = limits.refusal_burst
        self._longest = limits.refusal_delay
        self._longest_on_stream = limits.stream_refusal_delay
        self._at_a_time = limits.max_delayed_refusals
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}
        """Of each project: refusals in its bucket, and at what time."""
        self._turns: dict[tuple[str, bool], float] = {}
        """When the last of those goes on who wait as long as they can, of a project, on streams or
        not."""
        self._held: set[asyncio.Future[None]] = set()
        self._over = False
        self._silent_until = 0.0

    def answer(self, project: str | None) -> None:
        """What the current request is refused is told at the pace of PROJECT; None: at once."""
        _answered.set((self, project) if project is not None else None)

    def charge(self, project: str, refusals: int = 1, *, on_stream: bool = False) -> float:
        """Counts REFUSALS; seconds until they may be told."""
        due = self._due(project, refusals)
        longest = self._longest_on_stream if on_stream else self._longest
        if due <= longest / 2:
            return due
        # Those who wait as long as they can go on one after the other, not all in one moment.
        now, last = self._clock(), self._turns.get((project, on_stream), 0.0)
        turn = min(max(now + longest / 2, last + _APART), now + min(due, longest))
        self._turns[project, on_stream] = turn
        return turn - now

    def _due(self, project: str, refusals: int) -> float:
        """Counts REFUSALS; seconds until they may be told if nothing is ever told too late."""
        now = self._clock()
        level, since = self._levels.get(project, (0.0, now))
        level = max(0.0, level - (now - since) * self._rate) + refusals
        level = min(level, self._burst + self._longest_on_stream * self._rate)
        self._levels[project] = level, now
        return max(0.0, (level - self._burst) / self._rate)

    async def hold(self, project: str, refusals: int = 1, *, on_stream: bool = False) -> None:
        """Returns when REFUSALS may be told."""
        await self._wait(project, self.charge(project, refusals, on_stream=on_stream))

    async def catch_up(self, project: str, *, together: bool) -> None:
        """Returns when PROJECT would be told of what it was refused before; TOGETHER with the
        others that wait for it."""
        if together:
            now, period = self._clock(), self._longest / 2
            latest = now + min(self._due(project, 0), self._longest)
            await self._wait(project, max(0.0, latest // period * period - now))
        else:
            await self._wait(project, self.charge(project, 0))

    async def _wait(self, project: str, pause: float) -> None:
        if not pause or self._over or len(self._held) >= self._at_a_time:
            return
        self._say(project)
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        timer = loop.call_later(pause, _release, told)
        self._held.add(told)
        try:
            await told
        finally:
            timer.cancel()
            self._held.discard(told)

    def end(self) -> None:
        """The service stops: everything is told at once."""
        self._over = True
        for told in self._held:
            _release(told)

    def _say(self, project: str) -> None:
        if self._clock() < self._silent_until:
            return
        self._silent_until = self._clock() + _QUIET
        whose = f"project {project}" if project else "callers without a good key"
        log.warning(
            "%s: refusals are told late, as they come more than %g times a second",
            whose,
            self._rate,
            extra={"event": "refusals_delayed"},
        )


async def catch_up(*, together: bool = False) -> None:
    """Returns when the caller of the current request would be told of what it was refused already:
    at once, but for who is refused so often that it waits for it. For what costs the service
    something, and is done in vain by a program that goes on to be refused. TOGETHER: with others,
    for what costs less that way than one by one."""
    answered = _answered.get()
    if answered is not None:
        pace, project = answered
        await pace.catch_up(project, together=together)


async def hold_back(refusal: Refusal, refusals: int = 1, *, on_stream: bool = False) -> None:
    """Returns when the caller of the current request may be told of REFUSALS. ON_STREAM: it waits
    for acks on a stream that is open."""
    answered = _answered.get()
    if answered is not None and refusal in _BLAMED:
        pace, project = answered
        await pace.hold(project, refusals, on_stream=on_stream)


def _release(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)
