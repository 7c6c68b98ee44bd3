"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """One bar on standard error while the block runs; it leaves nothing behind."""

    def __init__(self, what: str, *, total: float | None = None) -> None:
        self._what = what
        self._total = total
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TaskProgressColumn,
                TextColumn,
                TimeRemainingColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(self._what, total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @property
    def visible(self) -> bool:
        """Whether anybody sees it."""
        return self._progress is not None

    def show(self, done: float, *, total: float | None = None, what: str | None = None) -> None:
        """DONE of TOTAL; WHAT is being done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task,
                completed=done,
                total=total or self._total,
                description=what or self._what,
            )

    def step(self, done: float, total: float) -> None:
        """For those who tell both."""
        self.show(done, total=total)
