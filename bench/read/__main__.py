"""`python -m bench.read [--large] [--no-peers | --peers FILE] [--rounds N] [--json FILE]`: see the
package."""

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
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--no-peers", action="store_true", help="no other trackers, no picture")
    whose.add_argument(
        "--peers",
        type=Path,
        metavar="FILE",
        help="other trackers as an earlier --json FILE of this machine has them: half of the time",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each case ({ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: 1 or more")
    measured = _known_peers(parser, options.peers) if options.peers else None
    sizes = {name: n for name, n in SIZES.items() if options.large or n < 100_000_000}
    with tempfile.TemporaryDirectory(prefix="stepline-read-") as name:
        root = Path(name)
        data = root / "store" / "data"
        begun, today = time.monotonic(), time.strftime("%Y-%m-%d", time.gmtime())
        build(data, sizes)
        said(f"the store is built after {time.monotonic() - begun:.0f} s")
        # One directory has one owner: the engine alone before and after the service, so that both
        # see the same machine.
        before = floors(data, options.rounds)
        with Service(data, "--no-sync") as service:
            times = cases.measure(service, sizes, options.rounds)
            said("measured")
            cases.find_spikes(service, sizes)
            said("the spike of each series is seen at every zoom")
            busy = cases.under_ingest(service, list(sizes)[-1], options.rounds)
        after = floors(data, options.rounds)
        results: dict[str, Any] = {
            "command": "make bench-read" + (" LARGE=--large" if options.large else ""),
            "date": today,
            "machine": machine.facts(),
            "floors": {key: statistics.mean((before[key], after[key])) for key in before},
            "times": times,
            "under_ingest": busy,
            "peers_date": measured["peers_date"] if measured else today,
            "peers": measured["peers"] if measured else {},
        }
        if not (measured or options.no_peers):
            results["peers"] = peers.measure(root)
    # First, so that nothing can lose it.
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))
    report.print_table(results)
    if not options.no_peers:
        report.draw(results, IMAGE)
        said(f"the picture is {IMAGE}")
    said(f"all in {time.monotonic() - begun:.0f} s")
    return 0


def _known_peers(parser: argparse.ArgumentParser, file: Path) -> dict[str, Any]:
    try:
        earlier: dict[str, Any] = json.loads(file.read_text())
        found = {
            "peers": earlier["peers"],
            "peers_date": earlier.get("peers_date", earlier["date"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"--peers: {file} is no file that --json has written ({error})")
    here, there = machine.facts(), earlier.get("machine", {})
    if any(here[name] != there.get(name) for name in ("cpu", "cores", "python")):
        parser.error(f"--peers: {file} is of another machine or Python: {there}")
    return found


def said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
