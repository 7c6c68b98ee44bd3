"""The functions of the module: they act on the run that was started last and is not finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import NotInitialized

if TYPE_CHECKING:
    from .report import FinishReport
    from .run import Run

_runs: list[Run] = []


def log(metrics: Mapping[str, object], step: int | None = None) -> None:
    """`Run.log` of the current run. Raises NotInitialized when there is none.

    In the innermost loop, call `run.log` itself: it is the extension's own function, with no Python
    in between.
    """
    current().log(metrics, step)


def finish(exit_code: int = 0, timeout: float | None = 30.0) -> FinishReport:
    """`Run.finish` of the current run; the one started before it, if any is left, becomes the
    current one.
    """
    return current().finish(exit_code=exit_code, timeout=timeout)


class CurrentConfig(Mapping[str, Any]):
    """`stepline.config`: the config of the current run."""

    def __getitem__(self, key: str) -> Any:
        return current().config[key]

    def __setitem__(self, key: str, value: object) -> None:
        current().config[key] = value

    def __iter__(self) -> Iterator[str]:
        return iter(current().config)

    def __len__(self) -> int:
        return len(current().config)

    def update(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Sets many keys as one change."""
        current().config.update(values, **more)

    def __repr__(self) -> str:
        return f"stepline.config of {_runs[-1]!r}" if _runs else "stepline.config of no run"


config = CurrentConfig()


def current() -> Run:
    """The current run. Raises NotInitialized when there is none."""
    if not _runs:
        raise NotInitialized("There is no run: call stepline.init() first.")
    return _runs[-1]


def runs() -> list[Run]:
    """Those of this process that are not finished."""
    return list(_runs)


def enter(run: Run) -> None:
    """RUN becomes the current one."""
    _runs.append(run)


def leave(run: Run) -> None:
    """RUN is finished."""
    if run in _runs:
        _runs.remove(run)
