"""Everything at once: `python -m tests.fault.soak --minutes 30`.

Scenario: round after round on one store, two ranks log while service, uploader and, at times, a
rank are killed in random order; in the end the service runs and the spools are waited for.
Guarantees: those of the single fault tests, together: every call that returned is stored exactly
once.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import stepline
from tests.support.oracle import judge
from tests.support.processes import Trainer, stop_uploaders, wait_drained
from tests.support.service import Service

RANKS = (0, 1)
STEPS = 10_000_000


def soak_round(service: Service, spools: Path, run_id: str, chance: random.Random) -> int:
    """One run; returns how many log() calls were judged."""
    trainers = {rank: Trainer(service.grpc, spools, run_id, rank, STEPS) for rank in RANKS}
    for trainer in trainers.values():
        trainer.wait_for(b"ready")
    returned: dict[int, int] = {}
    for _ in range(chance.randint(2, 5)):
        time.sleep(chance.uniform(0.02, 0.4))
        match chance.choice(("service", "uploader", "rank")):
            case "service":
                service.kill()
                time.sleep(chance.uniform(0.0, 0.3))
                service.restart()
            case "uploader":
                stop_uploaders(spools)
            case "rank" if len(returned) < len(RANKS):
                rank = chance.choice([r for r in RANKS if r not in returned])
                returned[rank] = trainers[rank].kill()
    for rank, trainer in trainers.items():
        if rank not in returned:
            returned[rank] = trainer.kill()
    # What dead ranks left is for the uploader that the next run on the host starts.
    stepline.init(project="fault", server=service.grpc, dir=spools).finish(timeout=120)
    wait_drained(spools)
    with stepline.connect(service.grpc) as client:
        for rank, calls in returned.items():
            judge(client, run_id, rank, at_least=calls, at_most=calls + 1)
    return sum(returned.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    end = time.monotonic() + 60 * options.minutes
    rounds = calls = 0
    with tempfile.TemporaryDirectory(prefix="stepline-soak-") as name:
        spools = Path(name) / "spools"
        with Service(Path(name) / "store") as service:
            while time.monotonic() < end:
                calls += soak_round(service, spools, f"soak-{rounds}", chance)
                rounds += 1
                print(f"round {rounds}: {calls:,} calls stored exactly once", flush=True)
        stop_uploaders(spools)
    return 0


if __name__ == "__main__":
    sys.exit(main())
