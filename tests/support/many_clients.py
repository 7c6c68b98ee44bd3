"""The ranks of a job, each a process of its own with a client of its own, forked from one that has
everything imported.

`python -m tests.support.many_clients SERVER DIR RUN RANKS STEPS` says nothing and ends with 0 when
all of them were done well.
"""

from __future__ import annotations

import os
import sys

import stepline

TOGETHER = 48
METRICS = ("loss", "grad/norm")


def log(server: str, directory: str, run_id: str, rank: int, ranks: int, steps: int) -> None:
    run = stepline.init(
        run_id=run_id,
        rank=rank,
        world_size=ranks,
        server=server,
        dir=directory,
        system_metrics="off",
        capture="none",
        on_error="raise",
    )
    for step in range(steps):
        run.log(dict.fromkeys(METRICS, float(rank)), step=step)
    run.finish()


def main(server: str, directory: str, run_id: str, ranks: int, steps: int) -> int:
    os.environ["STEPLINE_LAUNCH_ID"] = run_id
    living: set[int] = set()
    failed = False

    def wait_for_one() -> bool:
        pid, status = os.wait()
        living.discard(pid)
        return bool(status)

    for rank in range(ranks):
        if len(living) == TOGETHER:
            failed |= wait_for_one()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                log(server, directory, run_id, rank, ranks, steps)
                code = 0
            finally:
                os._exit(code)
        living.add(pid)
    while living:
        failed |= wait_for_one()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], *map(int, sys.argv[4:])))
