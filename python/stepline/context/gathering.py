"""Gathering the context of a run that starts, and recording it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from ..jsonable import dumps
from ..launch import Launch
from .environment import environment
from .git import GitLook, find_repository
from .machine import machine
from .packages import packages
from .program import program, script

BUDGET = 0.05
"""Seconds that this may add to the start of a run."""
_PATIENCE = 1.0
"""Seconds that the end of a run waits for git, if that has not said anything yet."""


class Gathering:
    """Begins to gather when it is made: git works while the service is asked.

    Rank 0 tells of the program, which is that of all ranks; the first rank of each host tells of
    its machine.
    """

    def __init__(self, parts: frozenset[str], launch: Launch) -> None:
        leads = launch.local_rank == 0 or launch.rank == 0
        self._parts = parts if launch.rank == 0 else parts & ({"machine"} if leads else set())
        self._git: GitLook | None = None
        self._record: Callable[[str], None] | None = None
        with contextlib.suppress(Exception):
            if not self._parts.isdisjoint(("git", "diff")):
                path = script()
                root = find_repository(os.path.dirname(path) if path else None, os.getcwd())
                if root is not None:
                    self._git = GitLook(root, diff="diff" in self._parts)

    def record(self, control: Callable[[str], None]) -> None:
        """Gathers the rest and hands each part to CONTROL, which records it. What git has not said
        yet is left to `late`."""
        self._record = control
        deadline = time.monotonic() + BUDGET
        for name, gather in (
            ("program", program),
            ("environment", environment),
            ("machine", machine),
            ("packages", lambda: packages(deadline)),
        ):
            if name in self._parts:
                with contextlib.suppress(Exception):
                    self._put(name, gather())
        self.late()

    def late(self) -> bool:
        """Records what git says once it has said all. True when nothing is left to do."""
        if self._git is None:
            return True
        with contextlib.suppress(Exception):
            if not self._git.look():
                return False
        self._take()
        return True

    def close(self) -> None:
        """The run ends: records what is there within a moment, and ends git if it still runs."""
        if self._git is not None:
            with contextlib.suppress(Exception):
                if self._record is not None:
                    self._git.wait(_PATIENCE)
            self._take()

    def _take(self) -> None:
        git, self._git = self._git, None
        if git is None:
            return
        with contextlib.suppress(Exception):
            git.close()
            for name, content in git.parts().items():
                if name in self._parts:
                    self._put(name, content)

    def _put(self, part: str, content: dict[str, Any]) -> None:
        if content and self._record is not None:
            self._record(dumps({"context": {"part": part, "content": content}}))
