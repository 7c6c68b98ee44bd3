"""A training process for the fault tests: logs the oracle's values and says on standard output
which calls have returned.

python -m tests.support.trainer SERVER DIR RUN_ID RANK STEPS [--pause SECONDS] [--finish]

SIGUSR1 ends the logging early.
"""

from __future__ import annotations

import argparse
import os
import signal
import time

import stepline
from tests.support.oracle import METRICS, value


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("directory")
    parser.add_argument("run_id")
    parser.add_argument("rank", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--finish", action="store_true")
    args = parser.parse_args()

    run = stepline.init(
        project="fault",
        run_id=args.run_id,
        rank=args.rank,
        world_size=2,
        resume="allow",
        server=args.server,
        dir=args.directory,
        capture="none",
        system_metrics="off",
    )
    told_to_stop: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: told_to_stop.append(number))
    os.write(1, b"ready\n")
    for step in range(args.first, args.first + args.steps):
        if told_to_stop:
            break
        run.log({m: value(args.rank, step, i) for i, m in enumerate(METRICS)}, step=step)
        os.write(1, b"%d\n" % step)
        if args.pause:
            time.sleep(args.pause)
    os.write(1, b"logged\n")
    if args.finish:
        report = run.finish(timeout=120)
        os.write(1, b"left %d\n" % report.left)
    else:
        time.sleep(3600)


if __name__ == "__main__":
    main()
