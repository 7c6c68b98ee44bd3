"""Writes points: `python -m bench.read.ingest SERVER RATE SECONDS DIR`; RATE 0 is as fast as it
goes. Prints how many points a second were stored."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import stepline

METRICS, STEPS = 20, 1_000


def main(server: str, rate: float, seconds: float, folder: Path) -> None:
    run = stepline.init(project="bench", server=server, dir=folder, uploader="thread")
    values = np.random.default_rng(1).normal(size=STEPS)
    begun, points, step = time.monotonic(), 0, 0
    while time.monotonic() - begun < seconds:
        steps = np.arange(step, step + STEPS, dtype=np.int64)
        for metric in range(METRICS):
            run.log_array(f"m/{metric}", steps, values)
        step += STEPS
        points += METRICS * STEPS
        if rate:
            time.sleep(max(0.0, begun + points / rate - time.monotonic()))
        elif points % 2_000_000 == 0:
            run.flush()  # the spool is no measure of the service
    report = run.finish(timeout=120)
    assert report.complete
    print(f"{points / (time.monotonic() - begun):.0f} points/s")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
