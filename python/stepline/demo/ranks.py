"""Starting the ranks, as a launcher such as torchrun does."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from ..errors import SteplineError
from ..report import FinishReport
from .exchange import Exchange
from .mlp import Mlp
from .train import CONFIG, train

RANKS = 4
_POLL = 0.1


class TrainingFailed(SteplineError):
    """A rank ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the ranks said at their end."""

    run_id: str
    logged: int
    """Points, over all ranks."""
    left: int
    """Of them not stored."""


def train_on_ranks(
    steps: int, *, server: str, spools: Path, show: Callable[[int], None]
) -> Outcome:
    """Runs `train` in RANKS processes; SHOW is told now and then how many steps are done."""
    context = multiprocessing.get_context("spawn")
    exchange = Exchange(context, ranks=RANKS, size=Mlp(CONFIG["layers"], seed=0).size)
    reports: SimpleQueue[FinishReport] = context.SimpleQueue()
    launch_id = f"demo-{secrets.token_hex(8)}"
    processes = []
    for rank in range(RANKS):
        environment = {
            "RANK": str(rank),
            "WORLD_SIZE": str(RANKS),
            "STEPLINE_LAUNCH_ID": launch_id,
            "STEPLINE_SERVER": server,
            "STEPLINE_DIR": str(spools),
            # ranks share the processors: one thread each
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        process = context.Process(target=_rank, args=(steps, exchange, reports))
        with _Environment(environment):
            process.start()
        processes.append(process)
    try:
        received = _watch(processes, exchange, reports, show)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return Outcome(
        run_id=received[0].run_id,
        logged=sum(report.stored + report.left for report in received),
        left=sum(report.left for report in received),
    )


def _rank(steps: int, exchange: Exchange, reports: SimpleQueue[FinishReport]) -> None:
    try:
        reports.put(train(steps, exchange))
    except BaseException:
        exchange.abort()
        raise


def _watch(
    processes: Sequence[BaseProcess],
    exchange: Exchange,
    reports: SimpleQueue[FinishReport],
    show: Callable[[int], None],
) -> list[FinishReport]:
    received: list[FinishReport] = []
    while len(received) < len(processes):
        while not reports.empty():
            received.append(reports.get())
        show(exchange.rounds())
        failed = [rank for rank, process in enumerate(processes) if process.exitcode]
        if failed:
            exchange.abort()
            raise TrainingFailed(f"Rank {failed[0]} of the demo failed: its error stands above.")
        time.sleep(_POLL)
    for process in processes:
        process.join()
    return received


class _Environment:
    """Variables for the child that is started meanwhile."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)

    def __exit__(self, *error: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
