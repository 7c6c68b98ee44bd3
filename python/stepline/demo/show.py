"""The main job from end to end: a service, four ranks that train, and what came of it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import stepline

from ..cli.metrics import print_metrics
from ..cli.output import Column, number, print_table
from ..cli.runs import print_runs
from ..comparing import SYSTEM
from ..errors import SteplineError
from ..plotting import terminal
from ..plotting.figure import save_figure
from .ranks import RANKS, Outcome, train_on_ranks
from .service import LocalService

_SLOWEST = """
SELECT rank, count() AS steps, avg(value) AS mean_ms, quantile(0.99)(value) AS p99_ms
FROM points
WHERE run = '{run}' AND metric = 'perf/step_ms'
GROUP BY rank
ORDER BY mean_ms DESC
"""


class PointsMissing(SteplineError):
    """What is stored is not what was logged."""


def show(directory: Path, steps: int) -> int:
    """Trains STEPS steps, prints the run, and returns an exit code.

    The service goes on until Ctrl-C when standard output is a terminal.
    """
    directory = directory.absolute()
    with LocalService(directory / "store") as service:
        _say(f"service: gRPC {service.grpc}, HTTP {service.http}, SQL {service.sql}")
        _say(f"training on {RANKS} ranks, {steps:,} steps, handwritten digits of scikit-learn")
        began = time.perf_counter()
        with _progress(steps) as report:
            outcome = train_on_ranks(
                steps, server=service.grpc, spools=directory / "spools", show=report
            )
        seconds = time.perf_counter() - began
        with stepline.connect(service.grpc) as client:
            _present(client, outcome, seconds, directory)
        stays = sys.stdout.isatty()
        _say("\nGo on:")
        if not stays:
            _say(f"  {_command()} {service.arguments()}    # it ends with this demo")
        for line in _suggestions(outcome.run_id, f" --server {service.grpc}" if stays else ""):
            _say(f"  {_command()} {line}")
        if stays:
            _say("\nThe service runs until Ctrl-C.")
            with suppress(KeyboardInterrupt):
                service.wait()
    return 0


def _present(client: stepline.Client, outcome: Outcome, seconds: float, directory: Path) -> None:
    view = client.run(outcome.run_id)
    metrics = view.metrics()
    # Readings of the host come besides, where training takes long enough for one.
    stored = sum(metric.count for metric in metrics if not metric.name.startswith(SYSTEM))
    if outcome.left or stored != outcome.logged:
        raise PointsMissing(
            f"{outcome.logged:,} points were logged and {stored:,} are stored: please report this."
        )
    _say(
        f"{outcome.logged:,} points logged by {RANKS} ranks in {seconds:.1f} s, {stored:,} stored\n"
    )
    print_runs([view.info])
    print_metrics(metrics)

    width, height = terminal.size()
    band = view.chart("train/loss", points=terminal.buckets(width), ranks="band")
    drawn = terminal.draw(
        [band],
        title="train/loss, band over all ranks",
        width=width,
        height=height,
        color=sys.stdout.isatty(),
        log=True,
    )
    _say(drawn)

    _say("\nSQL: which rank is the slowest?")
    answer = client.sql(_SLOWEST.format(run=outcome.run_id))
    print_table(
        [Column(name, number=True) for name in answer.columns],
        ([number(float(cell)) for cell in row] for row in answer.rows),
    )

    fine = view.chart("train/loss", points=1_000, ranks="band")
    picture = directory / "train-loss.png"
    save_figure(
        [fine],
        picture,
        title=f"train/loss of run {outcome.run_id}",
        log=True,
    )
    _say(f"picture: {picture}")


def _suggestions(run_id: str, server: str) -> tuple[str, ...]:
    return (
        f"metrics {run_id}{server}",
        f"plot {run_id} eval/accuracy --rank all{server}",
        f"sql 'SELECT * FROM series LIMIT 5'{server}",  # noqa: S608
    )


def _command() -> str:
    """How this program is called from where the user stands."""
    return "stepline" if shutil.which("stepline") else sys.argv[0]


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[int], None]]:
    """A bar in a terminal, a line now and then elsewhere."""
    if not sys.stdout.isatty():
        yield _Lines(steps)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress("training", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("training", total=steps)
        yield lambda done: bar.update(task, completed=done)


class _Lines:
    """Says each tenth of the way once."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._said = -1

    def __call__(self, done: int) -> None:
        tenth = 10 * done // self._steps
        if tenth > self._said:
            self._said = tenth
            _say(f"  step {done:,} of {self._steps:,}")


def _say(text: str) -> None:
    print(text, flush=True)
