"""What one service must carry, each as a ratio to something measured in the same run.

    python -m loadtest.targets [NAME ...] [--json FILE]

The load generator runs on the same cores as the service. Every run is audited: what was
acknowledged is what is stored. Exit code 1 when it is not; a target that is missed is printed as
such.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from loadtest import bare, machine
from loadtest.audit import Expected, audit
from loadtest.clients import Done, Load, train
from loadtest.fleet import Fleet, Outcome
from loadtest.tape import Tape
from stepline import _core
from tests.support.processes import stop_uploaders
from tests.support.service import Service

RANKS, BIG_ROWS, BIG_METRICS = 16, 100, 100
"""Ranks of one job that log fast: batches of 10,000 points."""
MANY, SMALL_ROWS, SMALL_METRICS = 1_024, 100, 10
"""Writers of 1,000 points/s each: a batch of 1,000 points every second."""
IDLE = 2_000
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measured figure beside its goal."""

    what: str
    measured: str
    against: str
    ratio: float
    goal: float
    at_least: bool = False
    """The ratio must not be below the goal; otherwise not above."""

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal


class Peak(threading.Thread):
    """The most memory (PSS) that a process held while this ran."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.bytes = 0

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._process.memory_full_info().pss)
            if self._over.wait(0.1):
                return


class Bench:
    """What the targets share: a folder, and figures that later ones are compared with."""

    def __init__(self, folder: Path, *, scale: float) -> None:
        self.folder = folder
        self.scale = scale
        self.saturated = 0.0
        """Points/s of RANKS writers that send as fast as they can."""

    def times(self, number: int) -> int:
        """NUMBER of something, less of it in a short run."""
        return max(2, int(number * self.scale))


def play(
    bench: Bench, name: str, *, writers: int, tape: Tape, interval: float = 0.0
) -> tuple[Outcome, float, Path]:
    """A fleet against a service of its own: what it saw, the service's peak memory in bytes, and
    the store that it left. Raises SystemExit when the audit fails."""
    store = bench.folder / name
    with Service(store) as service:

        async def run() -> Outcome:
            async with Fleet(service.grpc, run_id=name, writers=writers) as fleet:
                return await fleet.play(tape, interval=interval)

        with Peak(service.pid) as peak:
            outcome = asyncio.run(run())
        _check(audit(service.grpc, name, outcome.writers))
    return outcome, peak.bytes, store


def _check(verdict: Any) -> None:
    if not verdict.sound:
        raise SystemExit(f"NOT exactly once: {verdict}")


@dataclass(frozen=True, kw_only=True)
class Fast:
    """What writers reached that send as fast as they can."""

    rate: float
    """Points/s: the median of the rounds, like the next."""
    floor: float
    """Points/s of a bare insert of the same rows, by turns with it."""
    peak: float
    """The most bytes that the service held."""
    floor_peak: float
    """The most that the bare insert held."""


def as_fast_as_they_can(bench: Bench, name: str, *, writers: int, tape: Tape) -> Fast:
    """WRITERS that send TAPE, and a bare insert of what they sent, in turns: the speed of a machine
    that is shared changes from minute to minute."""
    rates, floors, peaks, floor_peaks = [], [], [], []
    for number in range(bench.times(3)):
        outcome, peak, store = play(bench, f"{name}-{number}", writers=writers, tape=tape)
        floor = bare.measure(store, bench.folder / f"{name}-{number}-bare")
        rates.append(outcome.points_per_second)
        floors.append(floor["rows"] / floor["seconds"])
        peaks.append(peak)
        floor_peaks.append(floor["peak_bytes"])
    return Fast(
        rate=statistics.median(rates),
        floor=statistics.median(floors),
        peak=max(peaks),
        floor_peak=max(floor_peaks),
    )


def saturated(bench: Bench) -> list[Line]:
    """RANKS writers as fast as they can, against a bare insert of the same rows."""
    tape = Tape(rows=BIG_ROWS, metrics=BIG_METRICS, batches=bench.times(50))
    fast = as_fast_as_they_can(bench, "saturated", writers=RANKS, tape=tape)
    bench.saturated = fast.rate
    return [
        _against_the_floor(
            fast, f"{RANKS} writers, batches of {tape.points_of_batch:,} points", 0.6
        )
    ]


def _against_the_floor(fast: Fast, who: str, goal: float) -> Line:
    return Line(
        what=f"{who}, saturated",
        measured=f"{fast.rate:,.0f} points/s",
        against=f"bare insert, {fast.floor:,.0f} points/s",
        ratio=fast.rate / fast.floor,
        goal=goal,
        at_least=True,
    )


def half_load(bench: Bench) -> list[Line]:
    """Ack latency at half of the saturating load."""
    if not bench.saturated:
        saturated(bench)
    interval = RANKS * BIG_ROWS * BIG_METRICS / (bench.saturated / 2)
    batches = max(5, int(12 * bench.scale / interval))
    tape = Tape(rows=BIG_ROWS, metrics=BIG_METRICS, batches=batches)
    outcome, _, _ = play(bench, "half", writers=RANKS, tape=tape, interval=interval)
    return [
        Line(
            what=f"ack latency at half of that load, {name}",
            measured=f"{outcome.latency_ms(q):,.0f} ms",
            against=f"{goal:,.0f} ms at {bench.saturated / 2:,.0f} points/s",
            ratio=outcome.latency_ms(q) / goal,
            goal=1.0,
        )
        for name, q, goal in (("p50", 0.5, 300.0), ("p99", 0.99, 1000.0))
    ]


def many_writers(bench: Bench) -> list[Line]:
    """MANY writers of small batches: as fast as they can, then at 1,000 points/s each."""
    writers = bench.times(MANY)
    tape = Tape(rows=SMALL_ROWS, metrics=SMALL_METRICS, batches=8)
    fast = as_fast_as_they_can(bench, "many", writers=writers, tape=tape)
    paced, paced_peak, _ = play(bench, "paced", writers=writers, tape=tape, interval=1.0)
    offered = writers * tape.points_of_batch
    who = f"{writers:,} writers, batches of {tape.points_of_batch:,} points"
    peak = max(fast.peak, paced_peak)
    return [
        _against_the_floor(fast, who, 0.4),
        Line(
            what=f"{who}, 1,000 points/s each: ack p50 {paced.latency_ms(0.5):,.0f} ms, p99",
            measured=f"{paced.latency_ms(0.99):,.0f} ms",
            against=f"1,000 ms at {offered:,} points/s offered",
            ratio=paced.latency_ms(0.99) / 1000,
            goal=1.0,
        ),
        Line(
            what=f"peak memory of the service with {writers:,} writers",
            measured=f"{peak / MIB:,.0f} MiB",
            against=f"bare engine, {fast.floor_peak / MIB:,.0f} MiB, and 512 MiB",
            ratio=(peak - fast.floor_peak) / (512 * MIB),
            goal=1.0,
        ),
    ]


def idle(bench: Bench) -> list[Line]:
    """Processor time of the service while IDLE writers are connected and silent."""
    writers, seconds = bench.times(IDLE), 10 * bench.scale

    async def run(server: str, pid: int) -> float:
        async with Fleet(server, run_id="idle", writers=writers):
            await asyncio.sleep(3 * bench.scale)  # the echo of the beginning
            before = machine.cpu_seconds(pid)
            await asyncio.sleep(seconds)
            return (machine.cpu_seconds(pid) - before) / seconds

    with Service(bench.folder / "alone") as service:
        time.sleep(3 * bench.scale)
        before = machine.cpu_seconds(service.pid)
        time.sleep(seconds / 2)
        alone = (machine.cpu_seconds(service.pid) - before) / (seconds / 2)
    with Service(bench.folder / "idle") as service:
        busy = asyncio.run(run(service.grpc, service.pid))
    return [
        Line(
            what=f"{writers:,} connected idle writers",
            measured=f"{100 * busy:.1f} % of a core",
            against=f"5 % of a core (without writers {100 * alone:.1f} %)",
            ratio=busy / 0.05,
            goal=1.0,
        )
    ]


def drain(bench: Bench) -> list[Line]:
    """The service is away for 10 s while real clients log on; then it catches up."""
    processes, rate, outage = 4, 20_000.0, 10 * bench.scale
    load = Load(processes=processes, metrics=100, rate=rate, seconds=3 * outage)
    spools = bench.folder / "spools"
    context = multiprocessing.get_context("spawn")
    start, out = context.Barrier(processes + 1), context.Queue()
    with Service(bench.folder / "drain") as service:
        ranks = [
            context.Process(
                target=train,
                args=(load, service.grpc, str(spools), "drain", rank, start, out),
            )
            for rank in range(processes)
        ]
        for process in ranks:
            process.start()
        start.wait()
        time.sleep(outage / 5)
        service.terminate()
        time.sleep(outage)
        service.start()
        back = time.monotonic()
        waiting = {spool["path"]: spool for spool in _core.spool_scan(str(spools))}
        points = load.metrics * sum(s["last_seq"] - s["acked_seq"] for s in waiting.values())
        busy, caught_up = _watch(waiting)
        done: list[Done] = [out.get(timeout=600) for _ in ranks]
        for process in ranks:
            process.join()
        writers = [Expected(rank=d.rank, rows=d.rows, metrics=load.metrics) for d in done]
        _check(audit(service.grpc, "drain", writers))
        stop_uploaders(spools)
    live = processes * rate
    drained = points / busy
    return [
        Line(
            what=f"draining {points:,} points after an outage of {outage:g} s",
            measured=f"{drained:,.0f} points/s; all there {caught_up - back:.1f} s after the end",
            against=f"live rate, {live:,.0f} points/s",
            ratio=drained / live,
            goal=5.0,
            at_least=True,
        )
    ]


def _watch(waiting: dict[str, Any]) -> tuple[float, float]:
    """Until all that waited in these spools is stored. Returns the seconds in which at least one of
    them was being sent, pauses before a reconnection left out, and when the last one was done."""
    open_spools = dict(waiting)
    busy, last = 0.0, time.monotonic()
    end = last + 300
    while open_spools:
        time.sleep(0.01)
        now = time.monotonic()
        if now > end:
            raise SystemExit(f"not sent in 300 s: {sorted(open_spools)}")
        sending = False
        for path, before in list(open_spools.items()):
            status = _core.spool_brief(path)
            # A spool that is gone was stored whole.
            if status is None or status["acked_seq"] >= before["last_seq"]:
                del open_spools[path]
                sending = True
            elif status["state"] == "streaming" or status["acked_seq"] > before["acked_seq"]:
                sending = True
        busy += (now - last) * sending
        last = now
    return busy, last


TARGETS: dict[str, Callable[[Bench], list[Line]]] = {
    "saturated": saturated,
    "half_load": half_load,
    "many_writers": many_writers,
    "idle": idle,
    "drain": drain,
}


def measure(names: list[str], *, scale: float) -> list[Line]:
    lines: list[Line] = []
    saturated_rate = 0.0
    with tempfile.TemporaryDirectory(prefix="stepline-load-") as folder:
        for target in names or list(TARGETS):
            print(f"measuring {target}", file=sys.stderr, flush=True)
            bench = Bench(Path(folder), scale=scale)
            bench.saturated = saturated_rate
            found, saturated_rate = _apart(target, bench)
            for line in found:
                print(f"  {line.what}: {line.measured}", file=sys.stderr, flush=True)
            lines += found
    return lines


def _apart(target: str, bench: Bench) -> tuple[list[Line], float]:
    """The lines of TARGET and the saturating rate, from a process of its own: with thousands of
    streams the second event loop of a process loses calls inside grpc.aio."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_measure_here, target, bench).result()


def _measure_here(target: str, bench: Bench) -> tuple[list[Line], float]:
    return TARGETS[target](bench), bench.saturated


def show(lines: list[Line], console: Console) -> None:
    table = Table(title="one service, load generator on the same cores", title_justify="left")
    for column in ("what", "measured", "against, in the same run"):
        table.add_column(column)
    for column in ("ratio", "goal"):
        table.add_column(column, justify="right")
    table.add_column("")
    for line in lines:
        table.add_row(
            line.what,
            line.measured,
            line.against,
            f"{line.ratio:.2f}",
            f"{'>=' if line.at_least else '<='} {line.goal:g}",
            "" if line.met else "[bold]missed[/bold]",
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.targets", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TARGETS, []], help="all without one")
    parser.add_argument("--scale", type=float, default=1.0, help="below 1: a shorter run")
    parser.add_argument("--json", type=Path, help="write the results there")
    args = parser.parse_args()
    facts = machine.facts()
    lines = measure(args.names, scale=args.scale)
    console = Console(width=max(150, Console().width))
    console.print(machine.describe(facts))
    show(lines, console)
    if args.json:
        rows = [{**vars(line), "ratio": round(line.ratio, 3), "met": line.met} for line in lines]
        machine.save(args.json, command="make load-full", facts=facts, targets=rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
