"""`python -m loadtest.peers [NAME ...]`: the same work through other trackers and Stepline.

Environments are made from PyPI on the first run (about 3 GiB in the user's cache); the results go
to `loadtest/peers/results.json`, the charts to `docs/images/`. Build the extension in release mode
first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from loadtest import machine
from loadtest.peers import chart, environments, summary, table
from loadtest.peers.catalog import CONTENDERS, Contender, choose
from loadtest.peers.trial import Bench, Failed, Measured, discard, kill_trial, log_trial
from tests.support.service import Service

HERE = Path(__file__).parent
CALLS = {10: 20_000, 100: 5_000, 1_000: 1_000}
"""Calls of a trial by metrics a call, unless the time of a trial is up before."""
KILL_METRICS, KILL_CALLS, KINDS = 10, 5_000, ("alone", "tree")


def main() -> int:
    args = _arguments()
    console = Console(width=args.wide or max(170, Console().width))
    contenders = choose(args.names)
    facts = machine.facts()
    rows, pythons = _prepare(contenders, console)
    if args.install_only:
        return 0
    end = time.monotonic() + 60 * args.minutes
    able = [c for c in contenders if "error" not in rows[c.name]]
    with (
        tempfile.TemporaryDirectory(prefix="stepline-peers-") as name,
        Service(Path(name) / "service" / "store") as service,
    ):
        bench = Bench(
            root=Path(name), pythons=pythons, service=service.grpc, service_pid=service.pid
        )
        with Progress(console=console) as progress:
            _kill_all(bench, able, rows, args.seconds, progress)
            rounds = _log_all(bench, able, rows, args, end, progress)
    results = {
        "command": "make bench-peers",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": facts,
        "metrics": list(CALLS),
        "rounds": rounds,
        "seconds_per_trial": args.seconds,
        "contenders": rows,
        "ratios": summary.ratios(rows, tuple(CALLS)),
    }
    table.show(results, console)
    if len(contenders) == len(CONTENDERS) or args.write:
        (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        for path in chart.draw(results, args.images):
            console.print(f"wrote {path}")
    return 0


def _prepare(
    contenders: tuple[Contender, ...], console: Console
) -> tuple[dict[str, dict[str, Any]], dict[str, Path]]:
    """An empty row for each contender, and the interpreters of those that could be installed."""
    rows: dict[str, dict[str, Any]] = {}
    pythons: dict[str, Path] = {}
    for contender in contenders:
        row: dict[str, Any] = {
            "title": contender.title,
            "floor": contender.floor,
            "stores": contender.stores,
        }
        rows[contender.name] = row
        name = contender.environment
        if name is None:
            continue
        try:
            pythons[name] = environments.python_of(name)
            row["version"] = environments.version_of(pythons[name], environments.package_of(name))
        except environments.CannotInstall as error:
            row["error"] = f"cannot be installed here: {error}"
            console.print(f"{contender.title}: {row['error']}")
    return rows, pythons


def _kill_all(
    bench: Bench,
    contenders: list[Contender],
    rows: dict[str, dict[str, Any]],
    seconds: float,
    progress: Progress,
) -> None:
    storing = [contender for contender in contenders if contender.stores]
    task = progress.add_task("SIGKILL", total=len(storing) * len(KINDS))
    for kind in KINDS:
        for contender in storing:
            progress.update(task, description=f"SIGKILL {kind}: {contender.title}")
            folder = bench.root / f"{contender.name}-{kind}"
            kills = rows[contender.name].setdefault("kill", {})
            try:
                logged, stored = kill_trial(
                    bench,
                    contender,
                    folder,
                    kill=kind,
                    metrics=KILL_METRICS,
                    calls=KILL_CALLS,
                    seconds=seconds,
                )
                kills[kind] = {"logged": logged, "stored": stored}
            except Failed as error:
                kills[kind] = {"logged": 0, "stored": -1, "error": str(error)}
            discard(folder)
            progress.advance(task)


def _log_all(
    bench: Bench,
    contenders: list[Contender],
    rows: dict[str, dict[str, Any]],
    args: argparse.Namespace,
    end: float,
    progress: Progress,
) -> int:
    """Round after round, every contender in every width in turn, so that noise of the machine hits
    all alike. No round begins that would go beyond END; returns how many were made."""
    trials: dict[tuple[str, int], list[Measured]] = defaultdict(list)
    task = progress.add_task("log()", total=args.rounds * len(CALLS) * len(contenders))
    longest = 0.0
    done = 0
    for number in range(args.rounds):
        began = time.monotonic()
        if done and began + longest > end:
            break
        for width, calls in CALLS.items():
            for contender in contenders:
                progress.update(task, description=f"{width:,} metrics: {contender.title}")
                folder = bench.root / f"{contender.name}-{width}-{number}"
                try:
                    measured = log_trial(
                        bench,
                        contender,
                        folder,
                        metrics=width,
                        calls=max(1, int(calls * contender.share_of_calls)),
                        seconds=args.seconds,
                    )
                    trials[contender.name, width].append(measured)
                except Failed as error:
                    rows[contender.name]["error"] = f"does not run here: {error}"
                discard(folder)
                progress.advance(task)
        done += 1
        longest = max(longest, time.monotonic() - began)
    for (name, width), measured_all in trials.items():
        rows[name].setdefault("log", {})[str(width)] = summary.of_calls(measured_all)
    return done


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.peers", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, by name; nothing is written then")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="longest burst of a trial")
    parser.add_argument(
        "--minutes", type=float, default=7.0, help="no new round of log() when it would end later"
    )
    parser.add_argument("--install-only", action="store_true", help="only make the environments")
    parser.add_argument("--write", action="store_true", help="write results of a part, too")
    parser.add_argument("--wide", type=int, help="columns of the table; the terminal's without")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.json")
    parser.add_argument(
        "--images", type=Path, default=HERE.parents[1] / "docs" / "images", help="folder of charts"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
