"""Promise: runs are listed, filtered, sorted and grouped by who started them and where, as their
newest attempt says."""

from __future__ import annotations

import json

import pytest

from stepline._core import siphash64
from stepline_ingest.capture.tables import CaptureTables, ContextRow
from stepline_ingest.catalogue.filter_parse import parse_fields, parse_filter, parse_sort
from stepline_ingest.catalogue.known import Scope
from stepline_ingest.catalogue.runs_table import RunsQuery, RunsTable
from stepline_ingest.run_record import Attempt
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.store import Store
from stepline_ingest.writers import Binding
from tests.support.run_records import run_record

HOSTILE = "</td><script>\u202e' OR 1=1 --"
SCOPE = Scope("p")


class Runs:
    """Runs with attempts, each of which says who started it."""

    def __init__(self, store: Store) -> None:
        self.tables = SqlRunTables(store)
        self.table = RunsTable(store)
        self._captured = CaptureTables(store)

    def put(self, run_id: str, *users: str) -> None:
        attempts = [
            Attempt(number=n, launch_id="l", world_size=1, created_ms=n, host=f"host-of-{user}")
            for n, user in enumerate(users, 1)
        ]
        for attempt in attempts:
            self.tables.put_attempts([(run_id, attempt)])
        self.tables.put_runs([run_record(run_id, attempts)])
        for n, user in enumerate(users, 1):
            self.say(run_id, n, 0, "program", {"user": user, "command": "x"})

    def say(self, run_id: str, attempt: int, rank: int, part: str, content: object) -> None:
        run = siphash64(run_id)
        writer = bytes(15) + bytes([rank])
        place = Binding(writer=writer, run_id=run_id, run=run, attempt=attempt, rank=rank)
        row = ContextRow(binding=place, part=part, content=json.dumps(content))
        self._captured.put_contexts([row])

    def found(self, filter: str = "", sort: str = "id") -> list[str]:
        query = RunsQuery(
            scope=SCOPE, filter=filter, tree=parse_filter(filter), sort=parse_sort([sort]), limit=9
        )
        return self.table.page(query)[0]


@pytest.fixture
def runs(embedded: Store) -> Runs:
    runs = Runs(embedded)
    runs.put("a", "ada")
    runs.put("b", "ada", "bob")
    runs.put("c", HOSTILE)
    runs.put("d", "")
    # Neither another rank nor another part says who started it.
    runs.say("d", 1, 1, "program", {"user": "rank one"})
    runs.say("d", 1, 0, "git", {"user": "git"})
    runs.say("d", 1, 0, "machine", ["user"])
    return runs


def test_a_run_belongs_to_who_started_its_newest_attempt(runs: Runs) -> None:
    records = runs.tables.load(["a", "b", "c", "d"])
    values = runs.table.columns(records, parse_fields("column", ["user", "host"]), SCOPE)
    shown = {run: [value.json() for value in row] for run, row in values.items()}
    assert shown == {
        "a": ['"ada"', '"host-of-ada"'],
        "b": ['"bob"', '"host-of-bob"'],
        "c": [json.dumps(HOSTILE, ensure_ascii=False), f'"host-of-{HOSTILE}"'],
        "d": ["null", '"host-of-"'],
    }


def test_filters(runs: Runs) -> None:
    wanted = {
        'user = "ada"': ["a"],
        'user != "ada"': ["b", "c", "d"],
        'user in ("ada", "bob")': ["a", "b"],
        'user contains "</td>"': ["c"],
        'user matches "^a"': ["a"],
        "user = null": ["d"],
        'host = "host-of-bob" and user != null': ["b"],
    }
    assert {text: runs.found(text) for text in wanted} == wanted


def test_order_and_groups(runs: Runs) -> None:
    assert runs.found(sort="-user") == ["b", "a", "c", "d"]
    assert runs.found(sort="host", filter="user != null") == ["c", "a", "b"]
    query = RunsQuery(scope=SCOPE, group_by=parse_fields("key", ["user"]), limit=9)
    groups, total = runs.table.groups(query)
    assert total == 4
    assert {runs.found(group.filter)[0]: group.count for group in groups} == {
        "a": 1, "b": 1, "c": 1, "d": 1,
    }  # fmt: skip
