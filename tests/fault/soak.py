"""Everything at once: `python -m tests.fault.soak --minutes 30`.

Scenario: round after round on one store, two ranks log while service, uploader, ranks, connections,
the store's answers and the clock fail in random order; in the end the weather clears and the spools
are waited for.
Guarantees: those of the single fault tests, together: every call that returned is stored exactly
once, what was acknowledged survives each death, and the audit of the store finds nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from stepline import _core
from tests.fault.stage import Stage
from tests.support.offline import PATIENCE
from tests.support.processes import Trainer, stop_uploaders, uploaders
from tests.support.proxy import CLEAR, Weather

RANKS = (0, 1)
STEPS = 10_000_000
EVENTS = ("death", "restart", "uploader", "rank", "stop", "cut", "lost ack", "store", "clock")


def soak_round(stage: Stage, chance: random.Random, seen: Counter[str]) -> int:
    """One run; returns how many log() calls were judged."""
    stage.clear_up()
    run = stage.new_run("soak")
    trainers = {
        rank: stage.trainer(run, rank, STEPS, "--pause", "0.0002", server=stage.address)
        for rank in RANKS
    }
    returned: dict[int, int] = {}
    for _ in range(chance.randint(2, 5)):
        time.sleep(chance.uniform(0.02, 0.4))
        event = chance.choice(EVENTS)
        seen[event] += 1
        _happen(event, stage, chance, trainers, returned)
    for rank, trainer in trainers.items():
        if rank not in returned:
            returned[rank] = trainer.kill()
    _clear(stage)
    left = _core.drain(str(stage.spools), server=stage.service.grpc, timeout=PATIENCE)
    assert left == [], f"the backlog does not drain: {left}"
    stop_uploaders(stage.spools)
    for rank, calls in returned.items():
        stage.oracle.logged(run, rank, returned=calls, begun=calls + 1)
    stage.judge()
    return sum(returned.values())


def _happen(
    event: str,
    stage: Stage,
    chance: random.Random,
    trainers: dict[int, Trainer],
    returned: dict[int, int],
) -> None:
    match event:
        case "death":
            stage.service.kill()
            time.sleep(chance.uniform(0.0, 0.3))
            stage.revive()
        case "restart":
            assert stage.service.terminate() == 0
            stage.revive()
        case "uploader":
            stop_uploaders(stage.spools)
        case "rank" if len(returned) < len(RANKS):
            rank = chance.choice([r for r in RANKS if r not in returned])
            returned[rank] = trainers[rank].kill()
        case "stop":
            pids = [stage.service.pid, *(process.pid for process in uploaders(stage.spools))]
            pid = chance.choice(pids)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.1, 1.0))
            os.kill(pid, signal.SIGCONT)
        case "cut":
            stage.proxy.cut_all()
        case "lost ack":
            weather = Weather(lose_acks_after=chance.randint(0, 2))
            stage.proxy.forecast = lambda number: weather if chance.random() < 0.5 else CLEAR
            stage.proxy.cut_all()
        case "store":
            orders = ("fail before", "fail after", "crash after", "hang 0.2", "merge")
            stage.faults.order("insert", *chance.choices(orders, k=3))
        case "clock":
            stage.faults.set_clock(chance.randint(-24, 24) * 30 * 86_400.0)


def _clear(stage: Stage) -> None:
    stage.proxy.forecast = lambda number: CLEAR
    stage.faults.clear()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    end = time.monotonic() + 60 * options.minutes
    rounds = calls = 0
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="stepline-soak-") as name, Stage(Path(name)) as stage:
        while time.monotonic() < end:
            calls += soak_round(stage, chance, seen)
            rounds += 1
            what = ", ".join(f"{count} {event}" for event, count in sorted(seen.items()))
            print(f"round {rounds}: {calls:,} calls stored exactly once; {what}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
