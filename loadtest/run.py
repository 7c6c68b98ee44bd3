"""`make load [SCENARIO=name|all]`: every scenario headless against a service of its own, then what
was acknowledged is compared with what is stored, exactly. Exit code 1 when they differ or when
anything was refused.

    python -m loadtest.run [NAME ...] [--seconds S] [--users N] [--csv DIR]
        [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from loadtest import machine, scenario
from loadtest.audit import Expected, audit
from loadtest.scenario import Scenario
from tests.support.processes import ROOT
from tests.support.service import Service

STOP_TIMEOUT = 90
"""Seconds that locust gives its users to settle what is under way."""


def run(plan: Scenario, *, tables: Path | None = None) -> dict[str, Any]:
    """One scenario against a service of its own. TABLES: a folder for locust's CSV files."""
    with (
        tempfile.TemporaryDirectory(prefix="stepline-load-") as name,
        Service(Path(name) / "store") as service,
    ):
        result = run_against(service.grpc, plan, Path(name), run_id="load", tables=tables)
        memory = psutil.Process(service.pid).memory_full_info()
        return {**result, "service_mib": round(memory.pss / 2**20)}


def run_against(
    server: str,
    plan: Scenario,
    folder: Path,
    *,
    run_id: str,
    tables: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """One scenario against SERVER; `sound` in the result is the verdict. QUIET: locust says
    something only when it fails."""
    path = folder / f"{run_id}.json"
    code = _locust(plan, server, path, run_id=run_id, tables=tables, quiet=quiet)
    if not path.exists():
        raise SystemExit(f"{plan.name}: locust ended with {code} before it began")
    said = json.loads(path.read_text())
    expected = [Expected(**writer) for writer in said["writers"]]
    verdict = audit(server, run_id, expected)
    found = (
        str(verdict) if verdict.stored else "nothing was stored in that time: take more --seconds"
    )
    return {
        **_statistics(said["entries"]),
        "offered_points_per_second": plan.offered,
        "writers": len(expected),
        "acknowledged": verdict.acknowledged,
        "stored": verdict.stored,
        "sound": code == 0 and verdict.sound and verdict.stored > 0,
        "verdict": found if code == 0 else f"locust ended with {code}; {found}",
    }


def _locust(
    plan: Scenario, host: str, result: Path, *, run_id: str, tables: Path | None, quiet: bool
) -> int:
    users = plan.users + plan.readers
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
        *("-f", "loadtest/locustfile.py", "--host", host),
        *("-u", str(users), "-r", str(users), "-t", f"{max(1, round(plan.seconds))}s"),
        *("--stop-timeout", str(STOP_TIMEOUT), "--loglevel", "ERROR"),
    ]
    if tables is not None:
        command += ["--csv", str(tables / plan.name)]
    environment = {
        **os.environ,
        "LOAD_SCENARIO": plan.to_json(),
        "LOAD_RESULT": str(result),
        "LOAD_RUN_ID": run_id,
    }
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
    )
    if quiet and done.returncode:
        sys.stderr.buffer.write(done.stdout[-4000:] + done.stderr[-4000:])
    return done.returncode


def _statistics(entries: dict[str, Any]) -> dict[str, Any]:
    """Out of locust's own table: the entry "points" counts points, not batches."""
    if "batch to ack" not in entries:  # nothing was acknowledged in all that time
        return {}
    batches, points = entries["batch to ack"], entries["points"]
    found = {
        "points_per_second": round(points["per_second"]),
        "batches_per_second": round(batches["per_second"], 1),
        "ack_p50_ms": batches["p50_ms"],
        "ack_p99_ms": batches["p99_ms"],
        "ack_max_ms": round(batches["max_ms"]),
    }
    if "slow history" in entries:
        found["slow_reads"] = entries["slow history"]["requests"]
    return found


def show(results: dict[str, dict[str, Any]], console: Console) -> None:
    table = Table(title="load scenarios, one service on embedded storage", title_justify="left")
    table.add_column("scenario")
    for column in ("writers", "points/s", "batches/s", "ack p50", "p99", "service"):
        table.add_column(column, justify="right")
    table.add_column("acknowledged = stored")
    for name, row in results.items():
        table.add_row(
            name,
            f"{row['writers']:,}",
            f"{row.get('points_per_second', 0):,}",
            f"{row.get('batches_per_second', 0):,}",
            f"{row.get('ack_p50_ms', math.nan):,.0f} ms",
            f"{row.get('ack_p99_ms', math.nan):,.0f} ms",
            f"{row['service_mib']:,} MiB",
            f"{row['stored']:,}" if row["sound"] else f"[bold]NO: {row['verdict']}[/bold]",
        )
    console.print(table)


def main() -> int:
    args = _arguments()
    results: dict[str, dict[str, Any]] = {}
    names = scenario.names() if args.names in ([], ["all"]) else args.names
    plans = [scenario.load(name) for name in names]
    for plan in plans:
        if args.seconds:
            plan = replace(plan, seconds=args.seconds)
        if args.users:
            plan = replace(plan, users=args.users)
        print(f"\n== {plan.name}: {plan.about}", flush=True)
        results[plan.name] = {"about": plan.about, **run(plan, tables=args.csv)}
        print(results[plan.name]["verdict"], flush=True)
    show(results, Console(width=max(110, Console().width)))
    if args.json:
        machine.save(args.json, command="make load-full", facts=machine.facts(), scenarios=results)
    return 0 if all(row["sound"] for row in results.values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.run", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(scenario.names())}; or all")
    parser.add_argument("--seconds", type=float, help="instead of the scenario's own")
    parser.add_argument("--users", type=int, help="writers, instead of the scenario's own")
    parser.add_argument("--csv", type=Path, help="folder for the CSV files of locust")
    parser.add_argument("--json", type=Path, help="write the results there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
