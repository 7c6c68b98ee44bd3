"""What the uploader of a job that logs 1,000 points/s takes of a core.

    python -m bench uploader_cost

A trainer logs 10 metrics a hundred times a second for 30 s against a service of its own; the figure
is the processor time of the uploader process in that time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import stepline
from tests.support.processes import uploaders
from tests.support.service import Service

SECONDS = 30.0
PAUSE = 0.01
WARM_UP = 100
"""Calls before the clock starts, in which the uploader connects."""


def main() -> int:
    metrics = {f"m{number}": 0.5 for number in range(10)}
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        spools = Path(directory) / "spools"
        with Service(Path(directory) / "store") as service:
            run = stepline.init(project="bench", server=service.grpc, dir=spools)
            for _ in range(WARM_UP):
                run.log(metrics)
                time.sleep(PAUSE)
            (uploader,) = uploaders(spools)
            before, began, calls = uploader.cpu_times(), time.monotonic(), 0
            while time.monotonic() - began < SECONDS:
                run.log(metrics)
                calls += 1
                time.sleep(PAUSE)
            after, seconds = uploader.cpu_times(), time.monotonic() - began
            run.finish()
    spent = after.user + after.system - before.user - before.system
    print(
        f"{calls * len(metrics) / seconds:,.0f} points/s: "
        f"the uploader takes {spent / seconds:.2%} of a core"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
