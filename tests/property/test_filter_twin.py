"""Runs found by SQL are those that plain Python finds: random runs, random filters, every order."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepline._core import siphash64
from stepline_ingest.catalogue.filter_parse import parse_fields, parse_filter, parse_sort
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.known import Scope
from stepline_ingest.catalogue.runs_table import RunsQuery, RunsTable
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt, End, RunRecord
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs_contract import FinishRow
from stepline_ingest.store import open_store
from stepline_ingest.writers import Binding
from tests.support.filter_twin import holds, ordered, value_of

EXAMPLES = int(os.environ.get("STEPLINE_FILTER_EXAMPLES", "60"))
RUNS = 60
TEXTS = [
    "",
    "a",
    "A",
    "b'c",
    'say "hi"',
    "ünï",
    "a.b",
    "nan",
    "\\",
    "%",
    "x\ny",
    "1",
    "true",
    "{p0}",
]
NUMBERS = [0, 1, -1, 1.0, 0.001, 1e-300, 2**53 + 1, -1e308, 7, 1e22]
KEYS = ["lr", "model.depth", "model/name", "flat.key", "list", "flag", "odd key", "mixed", "a.b"]
PROJECTS = ["p", "q"]
NOW = 1_700_000_000_000


def random_value(rng: random.Random) -> object:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(TEXTS)
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return [rng.choice([*TEXTS, *NUMBERS, True]) for _ in range(rng.randrange(4))]
    if kind == 3:
        return None
    return rng.choice([*NUMBERS, float("nan"), float("inf")])


def random_config(rng: random.Random) -> dict[str, object]:
    found: dict[str, object] = {
        key: random_value(rng)
        for key in ("lr", "flat.key", "list", "flag", "odd key", "mixed", "a.b")
        if rng.random() < 0.7
    }
    if rng.random() < 0.8:
        found["model"] = {"depth": random_value(rng), "name": random_value(rng), "empty": {}}
    if rng.random() < 0.5:
        found["a"] = {"b": random_value(rng)}
    return found


def random_ends(rng: random.Random, attempt: Attempt) -> dict[int, End]:
    return {
        rank: End(
            exit_code=rng.choice([0, 0, 1]),
            vanished=rng.random() < 0.2,
            finished_ms=NOW + rng.randrange(5) * 1000 + 500,
        )
        for rank in range(attempt.world_size)
        if rng.random() < 0.5
    }


def random_run(rng: random.Random, number: int) -> RunRecord:
    attempts = [
        Attempt(
            number=n + 1,
            launch_id=f"l{n}",
            world_size=2,
            created_ms=NOW,
            ended_ms=NOW + rng.randrange(5) * 1000 if rng.random() < 0.7 else None,
        )
        for n in range(rng.randrange(1, 4))
    ]
    for attempt in attempts:
        attempt.ends = random_ends(rng, attempt)
    return RunRecord(
        run_id=f"run{number}", project=rng.choice(PROJECTS), name=rng.choice(["", "näme", "try"]),
        config=random_config(rng), summary=random_config(rng),
        tags=rng.sample(["big", "b'g", "new, old", "ü"], rng.randrange(4)),
        group=rng.choice(["", "g", "h"]), job_type=rng.choice(["", "train"]),
        notes=rng.choice(["", "two\nlines"]), created_ms=NOW + rng.randrange(20) * 1000,
        updated_ms=NOW + number, attempts=attempts, version=number + 1,
        descent=Descent.of_attempts(siphash64(f"run{number}"), [a.number for a in attempts]),
    )  # fmt: skip


def finishes(run: RunRecord) -> list[FinishRow]:
    return [
        FinishRow(
            binding=Binding(
                writer=bytes(16),
                run_id=run.run_id,
                run=siphash64(run.run_id),
                attempt=attempt.number,
                rank=rank,
            ),
            end=end,
            finished_ms=end.finished_ms,
        )
        for attempt in run.attempts
        for rank, end in attempt.ends.items()
    ]


class Catalogue:
    """A store with runs, asked in both ways."""

    def __init__(self, directory: Path) -> None:
        self.store = open_store(None, directory)
        self.index = FieldIndex(self.store)
        self.table = RunsTable(self.store)
        tables = SqlRunTables(self.store, stored=self.index.note)
        rng = random.Random(7)
        self.runs = [random_run(rng, number) for number in range(RUNS)]
        for version in range(2):  # every run had another config before
            for run in self.runs:
                shown = run.copy()
                if not version:
                    shown.config, shown.summary = random_config(rng), random_config(rng)
                shown.version = run.version + version * RUNS
                for attempt in shown.attempts if version else shown.attempts[:1]:
                    tables.put_attempts([(run.run_id, attempt)])
                tables.put_runs([shown])
            self.index.flush()
        tables.put_finishes([row for run in self.runs for row in finishes(run)])

    def find(
        self, text: str, *, project: str = "", sort: tuple[str, ...] = (), limit: int = RUNS
    ) -> tuple[list[str], int]:
        query = RunsQuery(
            scope=Scope(project), filter=text, tree=parse_filter(text), sort=parse_sort(sort),
            limit=limit,
        )  # fmt: skip
        return self.table.page(query)

    def expect(self, text: str, *, project: str = "", sort: tuple[str, ...] = ()) -> list[str]:
        tree = parse_filter(text)
        keys = [(key.field, key.descending) for key in parse_sort(sort)]
        found = [run for run in self.runs if project in ("", run.project) and holds(tree, run)]
        return ordered(found, keys)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    found = Catalogue(tmp_path_factory.mktemp("catalogue"))
    yield found
    found.store.close()


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


values = st.one_of(
    st.sampled_from(NUMBERS).map(lambda number: json.dumps(float(number))),
    st.sampled_from(["true", "false"]),
    st.sampled_from(TEXTS).map(quoted),
)
key_names = st.sampled_from(KEYS).map(lambda key: f'"{key}"' if " " in key else key)
keys = st.tuples(st.sampled_from(["config", "summary"]), key_names).map(".".join)
text_fields = st.sampled_from(["id", "name", "project", "group", "job_type", "notes"])
patterns = st.sampled_from(["a", "^a$", "[a-z]", "n.n", "é|ü", r"\\.", "", "run1"]).map(quoted)
texts = st.sampled_from([*TEXTS, "p", "g", "try", "run7", "näme"]).map(quoted)
orders = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
numbers = st.sampled_from(NUMBERS).map(lambda number: json.dumps(float(number)))
lists = st.lists(values, min_size=1, max_size=3).map(", ".join)
comparison = st.one_of(
    st.tuples(keys, st.sampled_from(["=", "!="]), values).map(" ".join),
    st.tuples(keys, orders, st.one_of(numbers, texts)).map(" ".join),
    st.tuples(keys, st.sampled_from(["=", "!="]), st.just("null")).map(" ".join),
    st.tuples(keys, st.sampled_from(["contains", "not contains"]), values).map(" ".join),
    st.tuples(keys, st.sampled_from(["matches", "!~"]), patterns).map(" ".join),
    st.tuples(keys, st.sampled_from(["in (", "not in ("]), lists, st.just(")")).map(" ".join),
    st.tuples(values, st.sampled_from([" in ", " not in "]), keys).map("".join),
    st.tuples(text_fields, orders, texts).map(" ".join),
    st.tuples(text_fields, st.just("contains"), texts).map(" ".join),
    st.tuples(text_fields, st.just("=~"), patterns).map(" ".join),
    st.tuples(st.sampled_from(["big", "b'g", "x"]).map(quoted), st.just("in tags")).map(" ".join),
    st.tuples(st.just("tags matches"), patterns).map(" ".join),
    st.sampled_from(["tags = null", "group != null", "tags contains \"ü\""]),
    st.tuples(st.just("attempts"), orders, st.sampled_from(["1", "2", "3"])).map(" ".join),
    st.tuples(st.just("duration"), orders, st.sampled_from(["0", "2", "1e6"])).map(" ".join),
    st.tuples(st.just("created"), orders, st.just('"2023-11-14T22:13:25Z"')).map(" ".join),
)  # fmt: skip
filters = st.recursive(
    comparison,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or ", " && ", " OR "]), inner).map("".join),
        inner.map("not ({})".format),
        inner.map("({})".format),
    ),
    max_leaves=6,
)
sorts = st.lists(
    st.tuples(
        st.sampled_from(["", "-"]),
        st.one_of(keys, text_fields, st.sampled_from(["created", "attempts", "duration", "state"])),
    ).map("".join),
    max_size=3,
).map(tuple)


@settings(max_examples=EXAMPLES)
@given(text=filters, project=st.sampled_from(["", *PROJECTS]), sort=sorts)
def test_sql_finds_what_python_finds(
    catalogue: Catalogue, text: str, project: str, sort: tuple[str, ...]
) -> None:
    found, total = catalogue.find(text, project=project, sort=sort)
    expected = catalogue.expect(text, project=project, sort=sort)
    assert (found, total) == (expected, len(expected)), text


@settings(max_examples=EXAMPLES // 8)
@given(text=filters, by=st.lists(st.one_of(keys, text_fields), min_size=1, max_size=2))
def test_groups_are_all_runs_and_open_to_their_own(
    catalogue: Catalogue, text: str, by: list[str]
) -> None:
    query = RunsQuery(
        scope=Scope(), filter=text, tree=parse_filter(text),
        group_by=parse_fields("key", by), limit=1000,
    )  # fmt: skip
    groups, total = catalogue.table.groups(query)
    expected = catalogue.expect(text)
    assert total == len(groups)
    assert sum(group.count for group in groups) == len(expected)
    assert [group.count for group in groups] == sorted((g.count for g in groups), reverse=True)
    opened = []
    for group in groups:
        inside, count = catalogue.find(f"({text}) and {group.filter}")
        assert count == group.count, group.filter
        opened += inside
    assert sorted(opened) == sorted(expected)


def test_columns_are_the_values_themselves(catalogue: Catalogue) -> None:
    asked = [f'config."{key}"' for key in KEYS] + ["id", "name", "created", "attempts", "group"]
    fields = parse_fields("column", asked, most=50)
    found = catalogue.table.columns(catalogue.runs, fields, Scope())
    for run in catalogue.runs:
        shown = [json.loads(value.json()) for value in found[run.run_id]]
        assert shown == [value_of(run, one) for one in fields]
