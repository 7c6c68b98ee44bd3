"""`make load`: a service of its own on loopback, locust headless against it, and a count of what was stored.

Environment: LOAD_USERS (16), LOAD_SECONDS (20), LOAD_ROWS (100), LOAD_METRICS (100).
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import stepline  # noqa: E402
from tests.support.service import Service  # noqa: E402


def main() -> int:
    users = os.environ.get("LOAD_USERS", "16")
    seconds = int(os.environ.get("LOAD_SECONDS", "20"))
    with tempfile.TemporaryDirectory(prefix="stepline-load-") as folder:
        with Service(Path(folder) / "store") as service:
            command = [
                *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
                *("-f", str(ROOT / "loadtest" / "locustfile.py"), "--host", service.grpc),
                *("-u", users, "-r", users, "-t", f"{seconds}s", "--stop-timeout", "30"),
                *("--csv", str(Path(folder) / "load")),
            ]
            done = subprocess.run(command, cwd=ROOT, check=False)
            with (Path(folder) / "load_stats.csv").open() as table:
                total = list(csv.DictReader(table))[-1]
            batches = int(total["Request Count"])
            acknowledged = round(batches * float(total["Average Content Size"]))
            with stepline.connect(service.grpc) as client:
                stored = int(client.sql("SELECT count() FROM points").rows[0][0])
    print(f"acknowledged {acknowledged:,} points in {seconds} s ({acknowledged / seconds:,.0f}/s)")
    print(f"stored       {stored:,} points")
    print(f"ack latency  p50 {total['50%']} ms, p99 {total['99%']} ms")
    if done.returncode or stored != acknowledged:
        print("NOT the same: a point was lost, doubled or not acknowledged", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
