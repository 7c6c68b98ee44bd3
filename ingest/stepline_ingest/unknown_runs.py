"""What is said about a run that is not there: the ids that were meant perhaps.

Who asks for such runs without end costs little: the ids of a project are read once in a while, and
only some of those that are asked for meanwhile are compared with them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field

import grpc

from stepline_ingest import access
from stepline_ingest.errors import ServiceError
from stepline_ingest.limits import Limits
from stepline_ingest.similar import closest

_MOST_PROJECTS = 16
"""Whose ids are kept."""


@dataclass(slots=True)
class _Recent:
    """The newest ids of a project."""

    since: float
    ids: list[str] | None = None
    """None: they are being read."""
    hints: dict[str, list[str]] = field(default_factory=dict)
    """By the id that was asked for."""


class UnknownRuns:
    """Lives on the event loop; reads and compares in threads."""

    def __init__(
        self,
        recent_ids: Callable[[str, int], list[str]],
        blocking: Callable[[Callable[[], list[str]]], Awaitable[list[str]]],
        limits: Limits,
        *,
        deleted: Container[object] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """RECENT_IDS blocks: the newest ids of a project, so many; BLOCKING runs it."""
        self._recent_ids = recent_ids
        self._blocking = blocking
        self._limits = limits
        self._deleted = deleted
        self._clock = clock
        self._projects: OrderedDict[str, _Recent] = OrderedDict()

    async def error(self, run_id: str, *, remedy: str) -> ServiceError:
        """NOT_FOUND. It names runs with similar ids that the caller may see."""
        found = await self._near(run_id, access.project() or "")
        near = [one for one in found if one not in self._deleted]
        hint = f" (there is {', '.join(near)})" if near else ""
        return ServiceError(
            grpc.StatusCode.NOT_FOUND, f"run {run_id} is not known here{hint}: {remedy}"
        )

    async def _near(self, run_id: str, project: str) -> list[str]:
        recent = self._projects.get(project)
        if recent is None or self._clock() - recent.since >= self._limits.hint_seconds:
            recent = self._projects[project] = _Recent(self._clock())
            self._projects.move_to_end(project)
            if len(self._projects) > _MOST_PROJECTS:
                self._projects.popitem(last=False)
            most = self._limits.max_hinted_runs
            recent.ids = await self._blocking(lambda: self._recent_ids(project, most))
        ids = recent.ids
        if ids is None or run_id in recent.hints or len(recent.hints) >= self._limits.max_hints:
            return recent.hints.get(run_id, [])
        recent.hints[run_id] = []  # who asks the same meanwhile does not wait
        near = recent.hints[run_id] = await self._blocking(lambda: closest(run_id, ids))
        return near
