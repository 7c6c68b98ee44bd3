"""Finding runs and metrics, against what the engine needs for the bare rows.

    python -m bench.catalogue [--runs N] [--json]

100,000 runs with configs of 40 keys and five metrics each, and one run with 100,000 metric names,
lie in a fresh embedded store, written as the service writes them. Every case runs in every round.
"bare" is a query of the engine for one key of all runs in the order of that key, without what makes
it a table of runs: no deletions, no versions of runs, no paging. The JSON of the configs, parsed by
each query, is what there would be without the table of keys.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.merges import settle
from stepline._core import siphash64
from stepline_ingest.catalogue.fields import fields_of
from stepline_ingest.catalogue.filter_parse import parse_fields, parse_filter, parse_sort
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.known import Scope
from stepline_ingest.catalogue.runs_table import RunsQuery, RunsTable
from stepline_ingest.limits import Limits
from stepline_ingest.query.names import NamesQuery, find_names, group_names
from stepline_ingest.store import Store, open_store

ROUNDS = 15
KEYS, METRICS, NAMES = 40, 5, 100_000
LIMITS = Limits().of_a_query()
_BATCH = 5_000
_BARE = (
    "SELECT run FROM raw_fields WHERE key = 'config.lr' AND number > 0.5 "
    "ORDER BY number DESC LIMIT 100"
)
_JSON = (
    "SELECT run_id FROM raw_runs FINAL WHERE JSONExtractFloat(config, 'lr') > 0.5 "
    "ORDER BY JSONExtractFloat(config, 'lr') DESC LIMIT 100"
)
_BARE_NAMES = "SELECT count() FROM raw_metrics WHERE run = {run:UInt64} AND name LIKE '%loss%'"


def random_config(rng: random.Random) -> dict[str, object]:
    found: dict[str, object] = {
        "lr": rng.random(),
        "optimizer": rng.choice(["adam", "sgd", "lion"]),
        "model": {"depth": rng.randrange(100), "name": f"m{rng.randrange(1000)}"},
    }
    for key in range(KEYS - 4):
        kinds = (rng.random(), f"text {rng.randrange(100)}", rng.randrange(1000), True)
        found[f"key{key}"] = kinds[key % 4]
    return found


def fill(store: Store, runs: int) -> None:
    """As the service writes, in larger pieces."""
    rng = random.Random(1)
    index = FieldIndex(store)
    for first in range(0, runs, _BATCH):
        rows, attempts, summaries = [], [], []
        for number in range(first, min(first + _BATCH, runs)):
            run_id = f"run{number}"
            run, config = siphash64(run_id), random_config(rng)
            state = rng.choice(["running", "finished", "failed"])
            created = 1_700_000_000_000 + number
            said = (run_id, f"p{number % 4}", f"name {number}", json.dumps(config), "{}", ["a"])
            rest = ("", "train", "", state, None, "", 0, created, created, 1)
            rows.append((run, *said, *rest))
            attempts.append((run, 1, "l", 1, created, 1))
            for metric in range(METRICS):
                name, value = f"metric{metric}", rng.random()
                summaries.append(
                    (siphash64(name), run, f"p{number % 4}", name, 10, *(value,) * 7, 1)
                )
        texts = ("run_id", "project", "name", "config", "summary", "tags")
        rest_of = ("group", "job_type", "notes", "state", "exit_code", "fork_run_id", "fork_step")
        of_runs = ("run", *texts, *rest_of, "created", "updated", "version")
        store.insert_rows("raw_runs", of_runs, rows)
        of_attempts = ("run", "attempt", "launch_id", "world_size", "created", "version")
        store.insert_rows("raw_attempts", of_attempts, attempts)
        values = ("first", "last", "min", "max", "mean", "best", "shown")
        of_summaries = ("metric", "run", "project", "name", "points", *values, "version")
        store.insert_rows("raw_summaries", of_summaries, summaries)
        index.catch_up()
    wide = siphash64("wide")
    for first in range(0, NAMES, 20_000):
        named = [f"layer{n % 1000}/{n // 1000}/loss" for n in range(first, first + 20_000)]
        store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name", "first_seen"),
            [(wide, siphash64(name), name, 1) for name in named],
        )


def cases(store: Store) -> dict[str, Callable[[], object]]:
    table = RunsTable(store, LIMITS)

    def page(text: str = "", *sort: str, limit: int = 100) -> Callable[[], object]:
        def call() -> object:
            tree = parse_filter(text)
            keys = parse_sort(sort)
            query = RunsQuery(scope=Scope(), filter=text, tree=tree, sort=keys, limit=limit)
            return table.page(query)

        return call

    def groups(*by: str) -> Callable[[], object]:
        query = RunsQuery(scope=Scope(), group_by=parse_fields("key", by), limit=100)
        return lambda: table.groups(query)

    def names(**conditions: str) -> Callable[[], object]:
        query = NamesQuery(limit=100, **conditions)  # type: ignore[arg-type]
        return fresh(lambda: find_names(store, [siphash64("wide")], query, LIMITS))

    def fresh(look: Callable[[], object]) -> Callable[[], object]:
        """As after a change of the catalogue: what was found before is kept until then."""

        def call() -> object:
            store.rows_memo.changed()
            return look()

        return call

    wide = {"run": siphash64("wide")}
    everything = 'config.lr > 0.2 and config.optimizer in ("adam", "lion") and state = "finished"'
    return {
        "bare": lambda: store.query(_BARE),
        "runs: newest": page('state = "finished"'),
        "runs: config.lr > 0.5 by -config.lr": page("config.lr > 0.5", "-config.lr"),
        "runs: three conditions by two keys": page(everything, "config.model.depth", "-config.lr"),
        "runs: by summary.metric1.min": page("summary.metric0 < 0.5", "summary.metric1.min"),
        "runs: name matches": page('name matches "9[0-9]*7$"', "-created"),
        "runs: not (..) or ..": page('not (config.key1 = "text 7") or "a" in tags', "config.key2"),
        "runs: grouped by optimizer": groups("config.optimizer"),
        "runs: grouped by two keys": groups("config.optimizer", "config.model.depth"),
        "runs: JSON parsed by the query": lambda: store.query(_JSON),
        "bare names": lambda: store.query(_BARE_NAMES, wide),
        "names: prefix": names(prefix="layer77"),
        "names: glob": names(pattern="*/9?/loss"),
        "names: RE2": names(regex="layer[0-9]*5/.*ss$"),
        "names: all groups": fresh(lambda: group_names(store, [wide["run"]], NamesQuery(), LIMITS)),
    }


def measure(every: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {name: [] for name in every}
    for number in range(ROUNDS + 1):
        for name, function in every.items():
            begin = time.perf_counter()
            function()
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        name: {
            "ms": seconds * 1e3,
            "least_ms": min(times[name]) * 1e3,
            "ratio": seconds / medians["bare names" if "names" in name else "bare"],
        }
        for name, seconds in medians.items()
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv if argv is not None else [])
    assert len(fields_of(random_config(random.Random(1)))) == KEYS
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        store = open_store(None, Path(directory) / "data")
        try:
            fill(store, options.runs)
            settle(store)
            rows = measure(cases(store))
        finally:
            store.close()
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':38s} {'ms':>9s} {'least ms':>9s} {'ratio':>7s}")
    for name, row in rows.items():
        print(f"{name:38s} {row['ms']:9.1f} {row['least_ms']:9.1f} {row['ratio']:7.1f}")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
