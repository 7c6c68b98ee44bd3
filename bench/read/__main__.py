"""`python -m bench.read [--large] [--no-peers] [--json FILE]`: see the package."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.read import cases, peers, report
from bench.read.stores import SIZES, build
from loadtest import machine
from tests.support.service import Service

ROUNDS = 40
IMAGE = Path(__file__).parents[2] / "docs" / "images" / "read.png"


def floors(data: Path, rounds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.read.floors", str(data), str(rounds)]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="How long reading takes.")
    parser.add_argument("--large", action="store_true", help="with 100 M steps")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    sizes = {name: n for name, n in SIZES.items() if options.large or n < 100_000_000}
    with tempfile.TemporaryDirectory(prefix="stepline-read-") as name:
        root = Path(name)
        data = root / "store" / "data"
        begun = time.monotonic()
        build(data, sizes)
        said(f"the store is built after {time.monotonic() - begun:.0f} s")
        # One directory has one owner: the engine alone before and after the service, so that both
        # see the same machine.
        before = floors(data, ROUNDS)
        with Service(data, "--no-sync") as service:
            times = cases.measure(service, sizes, ROUNDS)
            said("measured")
            cases.find_spikes(service, sizes)
            said("the spike of each series is seen at every zoom")
            busy = cases.under_ingest(service, list(sizes)[-1], ROUNDS)
        after = floors(data, ROUNDS)
        results: dict[str, Any] = {
            "command": "make bench-read" + (" LARGE=--large" if options.large else ""),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": machine.facts(),
            "floors": {key: statistics.mean((before[key], after[key])) for key in before},
            "times": times,
            "under_ingest": busy,
            "peers": {} if options.no_peers else peers.measure(root),
        }
    report.print_table(results)
    if not options.no_peers:
        report.draw(results, IMAGE)
        said(f"the picture is {IMAGE}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))
    said(f"all in {time.monotonic() - begun:.0f} s")
    return 0


def said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
