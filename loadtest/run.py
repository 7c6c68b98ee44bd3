"""`make load`: a service of its own on loopback, locust headless against it, and a count of what
was stored.

Environment: LOAD_USERS (16), LOAD_SECONDS (20), LOAD_ROWS (100), LOAD_METRICS (100).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import stepline
from tests.support.processes import ROOT
from tests.support.service import Service


def main() -> int:
    users = os.environ.get("LOAD_USERS", "16")
    seconds = int(os.environ.get("LOAD_SECONDS", "20"))
    with (
        tempfile.TemporaryDirectory(prefix="stepline-load-") as folder,
        Service(Path(folder) / "store") as service,
    ):
        command = [
            *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
            *("-f", "loadtest/locustfile.py", "--host", service.grpc),
            *("-u", users, "-r", users, "-t", f"{seconds}s", "--stop-timeout", "30"),
        ]
        result = Path(folder) / "result.json"
        environment = {**os.environ, "LOAD_USERS": users, "LOAD_RESULT": str(result)}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        total = json.loads(result.read_text())
        acknowledged = total["points"]
        with stepline.connect(service.grpc) as client:
            stored = int(client.sql("SELECT count() FROM points").rows[0][0])
    print(f"acknowledged {acknowledged:,} points in {seconds} s ({acknowledged / seconds:,.0f}/s)")
    print(f"stored       {stored:,} points")
    print(f"ack latency  p50 {total['p50_ms']:.0f} ms, p99 {total['p99_ms']:.0f} ms")
    if done.returncode or stored != acknowledged:
        print("NOT the same: a point was lost, doubled or not acknowledged", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
