"""Two drainers of one spool: what the epoch is for.

Scenario: a file system whose locks do not hold. The uploader of a host is stopped (SIGSTOP) in the
middle of its work; a second one takes the spool over, sends it and deletes it; then the first one
wakes up in a world that went on without it.
Guarantees: everything is stored exactly once, the first one ends by itself, and nothing comes back.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import stepline
from stepline import _core
from tests.fault.stage import rounds
from tests.support.oracle import judge
from tests.support.processes import ROOT, Trainer, stop_uploaders, uploaders, wait_until
from tests.support.service import Service

STEPS = 20_000


def break_locks(spools: Path) -> None:
    """Whoever holds a lock goes on holding it, and nobody else finds it."""
    for lock in [spools / "uploader.lock", *spools.glob("*/drain.lock")]:
        lock.unlink(missing_ok=True)


def test_the_first_one_wakes_up_when_the_second_is_done(
    tmp_path: Path, chance: random.Random
) -> None:
    with Service(tmp_path / "store") as service, stepline.connect(service.grpc) as client:
        for round_ in rounds(short=1, share=0.1):
            spools = tmp_path / f"spools-{round_}"
            run_id = f"two-uploaders-{round_}"
            trainer = Trainer(service.grpc, spools, run_id, 0, STEPS)
            trainer.wait_for(b"%d" % chance.randrange(10, STEPS))
            wait_until(
                lambda spools=spools: any(
                    status["acked_seq"] > 0 for status in _core.spool_scan(str(spools))
                ),
                what="the first uploader has sent something",
            )
            (first,) = uploaders(spools)
            first.send_signal(signal.SIGSTOP)
            break_locks(spools)
            # The trainer ends without a word; its spool is left to the second one.
            trainer.wait_for(b"logged")
            trainer.kill()
            done = subprocess.run(
                [sys.executable, "-m", "stepline.uploader", str(spools)],
                cwd=ROOT,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0
            # The trainer may have started one before it ended, which then was the second one.
            wait_until(
                lambda spools=spools: _core.spool_scan(str(spools)) == [],
                what="the second uploader has sent everything",
            )
            judge(client, run_id, 0, at_least=STEPS, at_most=STEPS)
            first.send_signal(signal.SIGCONT)
            wait_until(
                lambda spools=spools: not uploaders(spools), what="the first uploader has ended"
            )
            judge(client, run_id, 0, at_least=STEPS, at_most=STEPS)
            assert _core.spool_scan(str(spools)) == []
            stop_uploaders(spools)
