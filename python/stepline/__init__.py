"""Stepline: experiment metrics at the speed of the training loop.

    import stepline

    run = stepline.init(project="gpt", config={"lr": 3e-4})
    run.log({"train/loss": 0.31}, step=10)
    run.finish()

    view = stepline.connect().run(run.id)
    view.chart("train/loss")

Reading needs NumPy and is imported when it is first used; logging needs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import __version__
from .config import Config
from .current import config, finish, log
from .errors import (
    AccessDenied,
    ExpiredPointsWarning,
    InvalidRequest,
    InvalidValue,
    LimitExceeded,
    MetricNotFound,
    NotInitialized,
    RunExists,
    RunFinished,
    RunIsLive,
    RunNotFound,
    ServerUnreachable,
    ServiceFailed,
    SpoolFailed,
    SteplineError,
)
from .init import init
from .report import FinishReport, FlushReport, Health, LogLatency
from .run import Run
from .summary import Summary

if TYPE_CHECKING:
    from .chart import Chart
    from .expired import Expired
    from .history import History
    from .lineage import Attempt, Lineage, RankTrouble, Segment
    from .reader import Client, connect
    from .run_view import RunView
    from .runs import Metric, RunInfo
    from .table import Table

__all__ = [
    "AccessDenied",
    "Attempt",
    "Chart",
    "Client",
    "Config",
    "Expired",
    "ExpiredPointsWarning",
    "FinishReport",
    "FlushReport",
    "Health",
    "History",
    "InvalidRequest",
    "InvalidValue",
    "LimitExceeded",
    "Lineage",
    "LogLatency",
    "Metric",
    "MetricNotFound",
    "NotInitialized",
    "RankTrouble",
    "Run",
    "RunExists",
    "RunFinished",
    "RunInfo",
    "RunIsLive",
    "RunNotFound",
    "RunView",
    "Segment",
    "ServerUnreachable",
    "ServiceFailed",
    "SpoolFailed",
    "SteplineError",
    "Summary",
    "Table",
    "__version__",
    "config",
    "connect",
    "finish",
    "init",
    "log",
]

_LAZY = {
    "Attempt": "lineage",
    "Chart": "chart",
    "Client": "reader",
    "Expired": "expired",
    "History": "history",
    "Lineage": "lineage",
    "Metric": "runs",
    "RankTrouble": "lineage",
    "RunInfo": "runs",
    "RunView": "reader",
    "Segment": "lineage",
    "Table": "table",
    "connect": "reader",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
