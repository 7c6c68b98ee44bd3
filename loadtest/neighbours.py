"""What other projects notice while one misbehaves, as a ratio of quiet and attacked times that take
turns in one run.

    python -m loadtest.neighbours [HOW ...] [--seconds 15] [--turns 3] [--json FILE]

An honest project sends batches on 4 streams and asks for a chart that was not asked for before,
again and again. The goal, where the other one is refused: its p99 within 2 times. Beside it, what
the service takes of the processor. Exit code 1 when one of its points was not stored exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

import stepline
from loadtest import bad_neighbour, machine
from loadtest.audit import audit
from loadtest.fleet import Fleet, Outcome
from loadtest.tape import Tape
from stepline import _core
from tests.support.processes import ROOT
from tests.support.service import Service

HONEST = "honest"
WRITERS, INTERVAL = 4, 0.2
CHART_STEPS = 200_000
GOAL = 2.0


@dataclass
class Seen:
    """What the honest project saw, in seconds."""

    acks: list[float] = field(default_factory=list)
    charts: list[float] = field(default_factory=list)
    took: float = 0.0
    """Processor time of the service."""
    watched: float = 0.0

    def ms(self, what: str, q: float) -> float:
        ordered: list[float] = sorted(getattr(self, what))
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    @property
    def cores(self) -> float:
        return self.took / self.watched


class Charts(threading.Thread):
    """Asks for one chart after the other while it runs."""

    def __init__(self, server: str, key: str) -> None:
        super().__init__(daemon=True)
        self._server, self._key = server, key
        self._over = threading.Event()
        self._first = 0
        self.seconds: list[float] = []
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            self._ask()
        except Exception as failure:
            self._failure = failure

    def _ask(self) -> None:
        with stepline.connect(self._server, api_key=self._key) as client:
            view = client.run(f"{HONEST}-charts")
            while not self._over.wait(0.05):
                self._first = (self._first + 977) % (CHART_STEPS // 2)
                began = time.monotonic()
                view.chart("load/metric00000", start=self._first, stop=self._first + 90_000)
                self.seconds.append(time.monotonic() - began)

    def end(self) -> list[float]:
        self._over.set()
        self.join()
        if self._failure is not None:
            raise self._failure
        return self.seconds


class Keys:
    """The first key closes the service to everybody else."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.admin = self._create("admin", "", None)

    def of(self, project: str) -> tuple[str, str]:
        """To write and to read."""
        return (
            self._create("ingest", project, self.admin),
            self._create("read", project, self.admin),
        )

    def _create(self, scope: str, project: str, by: str | None) -> str:
        connection = _core.Connection(self._server, api_key=by)
        try:
            return connection.create_key(scope, project, "", None)[1]
        finally:
            connection.close()


@contextlib.contextmanager
def misbehaving(how: str, server: str, keys: tuple[str, str]) -> Iterator[None]:
    bad = subprocess.Popen(
        [sys.executable, "-m", "loadtest.bad_neighbour", how, server, *keys],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert bad.stdout is not None
        assert bad.stdout.readline() == b"ready\n"
        time.sleep(1.0)
        yield
        if bad.poll() is not None:
            raise SystemExit(f"{how}: the bad neighbour ended by itself, with {bad.returncode}")
    finally:
        bad.kill()
        bad.wait()


async def _fill(server: str, project: str, key: str, *, steps: int, metrics: int) -> None:
    """A run for charts."""
    tape = Tape(rows=1_000, metrics=metrics, batches=steps // 1_000)
    async with Fleet(server, run_id=f"{project}-charts", writers=1, project=project, key=key) as it:
        await it.play(tape)


def watch(service: Service, keys: tuple[str, str], run_id: str, seconds: float, seen: Seen) -> None:
    """What the honest project sees for SECONDS."""
    server = service.grpc
    tape = Tape(rows=10, metrics=100, batches=max(3, round(seconds / INTERVAL)))

    async def send() -> Outcome:
        fleet = Fleet(server, run_id=run_id, writers=WRITERS, project=HONEST, key=keys[0])
        async with fleet as writers:
            return await writers.play(tape, interval=INTERVAL)

    charts = Charts(server, keys[1])
    took, began = machine.cpu_seconds(service.pid), time.monotonic()
    charts.start()
    outcome = asyncio.run(send())
    seen.acks += outcome.latencies
    seen.charts += charts.end()
    seen.took += machine.cpu_seconds(service.pid) - took
    seen.watched += time.monotonic() - began
    verdict = audit(server, run_id, outcome.writers, api_key=keys[1])
    if not verdict.sound:
        raise SystemExit(f"NOT exactly once: {verdict}")


def measure(names: list[str], *, seconds: float, turns: int) -> dict[str, tuple[Seen, Seen]]:
    """By what was done: quiet, attacked."""
    found: dict[str, tuple[Seen, Seen]] = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        found[name] = _measure_one(name, seconds=seconds, turns=turns)
    return found


def _measure_one(name: str, *, seconds: float, turns: int) -> tuple[Seen, Seen]:
    """Against a service of its own: what one leaves in a store slows what comes after it."""
    quiet, attacked = Seen(), Seen()
    with (
        tempfile.TemporaryDirectory(prefix="stepline-load-") as folder,
        Service(Path(folder) / "store") as service,
    ):
        keys = Keys(service.grpc)
        honest, greedy = keys.of(HONEST), keys.of(bad_neighbour.PROJECT)
        asyncio.run(_fill(service.grpc, HONEST, honest[0], steps=CHART_STEPS, metrics=1))
        if name == "heavy_charts":
            project = bad_neighbour.PROJECT
            asyncio.run(_fill(service.grpc, project, greedy[0], steps=50_000, metrics=100))
        watch(service, honest, "warm", 1.0, Seen())
        for turn in range(2 * turns):
            # First one, then the other: what merges behind a turn falls into the next one.
            if turn % 4 in (0, 3):
                watch(service, honest, f"{turn}-quiet", seconds, quiet)
            else:
                with misbehaving(name, service.grpc, greedy):
                    watch(service, honest, f"{turn}-attacked", seconds, attacked)
    return quiet, attacked


def row(quiet: Seen, attacked: Seen) -> dict[str, float]:
    found = {
        "cores_quiet": round(quiet.cores, 3),
        "cores_attacked": round(attacked.cores, 3),
    }
    for what in ("acks", "charts"):
        for name, q in (("p50", 0.5), ("p99", 0.99)):
            before, during = quiet.ms(what, q), attacked.ms(what, q)
            found |= {
                f"{what}_{name}_quiet_ms": round(before, 1),
                f"{what}_{name}_attacked_ms": round(during, 1),
                f"{what}_{name}_ratio": round(during / before, 2),
            }
    return found


def show(rows: dict[str, dict[str, float]], console: Console) -> None:
    table = Table(title="one project misbehaves; what another one sees", title_justify="left")
    table.add_column("what it does")
    for column in ("ack p50", "ack p99", "chart p50", "chart p99", "cores"):
        table.add_column(column, justify="right")
    for name, found in rows.items():
        cells = []
        for what in ("acks", "charts"):
            for q in ("p50", "p99"):
                before, during, ratio = (
                    found[f"{what}_{q}_{part}"] for part in ("quiet_ms", "attacked_ms", "ratio")
                )
                text = f"{before:,.0f} -> {during:,.0f} ms, {ratio:.2f} x"
                missed = q == "p99" and ratio > GOAL and name in bad_neighbour.REFUSED
                cells.append(f"[bold]{text} (goal {GOAL:g})[/bold]" if missed else text)
        cores = f"{found['cores_quiet']:.2f} -> {found['cores_attacked']:.2f}"
        table.add_row(name, *cells, cores)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.neighbours", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="HOW", help=", ".join(bad_neighbour.WAYS))
    parser.add_argument(
        "--seconds",
        type=float,
        default=15.0,
        help="of a turn; who is refused waits up to 12 in each round that it makes",
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results there")
    args = parser.parse_args()
    unknown = set(args.names) - set(bad_neighbour.WAYS)
    if unknown:
        parser.error(f"nobody knows {sorted(unknown)}: take some of {list(bad_neighbour.WAYS)}")
    facts = machine.facts()
    seen = measure(args.names or list(bad_neighbour.WAYS), seconds=args.seconds, turns=args.turns)
    rows = {name: row(*pair) for name, pair in seen.items()}
    console = Console(width=max(150, Console().width))
    console.print(machine.describe(facts))
    show(rows, console)
    if args.json:
        machine.save(args.json, command="python -m loadtest.neighbours", facts=facts, ways=rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
