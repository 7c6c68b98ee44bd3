"""Promise: a page of runs that was read is given again without a look at the store, until any row
of the catalogue changes; then nothing old is shown."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stepline._core import siphash64
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.listing import Listing
from stepline_ingest.catalogue.summaries import SummaryTable
from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.query.names import NamesQuery, find_names
from stepline_ingest.run_record import Attempt
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.runs import to_message
from stepline_ingest.runs_repository import RunsRepository
from stepline_ingest.store import Store
from tests.support.run_records import run_record

LIMITS = Limits()


class Catalogue:
    """Runs in a store, and how often it was asked."""

    def __init__(self, store: Store, executor: ThreadPoolExecutor) -> None:
        self.store = store
        self.index = FieldIndex(store)
        self.tables = SqlRunTables(store, stored=self.index.note)
        summaries = SummaryTable(store, self.tables, {})
        self.listing = Listing(
            store, self.tables, self.index, summaries, LIMITS, executor, to_message
        )
        self.asked = 0
        self._version = 0

    def put(self, run_id: str, project: str = "p", **config: object) -> None:
        self._version += 1
        attempt = Attempt(number=1, launch_id="l", world_size=1, created_ms=1_000, ended_ms=2_000)
        run = run_record(
            run_id,
            [attempt],
            project=project,
            config=dict(config),
            created_ms=1_000,
            updated_ms=1_000,
            version=self._version,
        )
        self.tables.put_attempts([(run_id, attempt)])
        self.tables.put_runs([run])

    async def list(self, **asked: object) -> tuple[list[tuple[str, str]], int]:
        """(id, columns) of runs, and how many questions that cost."""
        before = self.asked
        request = runs_pb2.ListRunsRequest(**asked)  # type: ignore[arg-type]
        reply = await self.listing.answer(request)
        return [(run.run_id, run.columns_json) for run in reply.runs], self.asked - before


@pytest.fixture
def catalogue(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    with ThreadPoolExecutor(1) as executor:
        found = Catalogue(embedded, executor)
        plain = embedded.query_raw

        def counted(*args: object, **kwargs: object) -> bytes:
            found.asked += 1
            return plain(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(embedded, "query_raw", counted)
        yield found


async def test_a_page_is_read_once_until_something_changes(catalogue: Catalogue) -> None:
    catalogue.put("a", lr=1)
    asked = {"project": "p", "columns": ["config.lr"], "sort": ["id"]}
    first, _ = await catalogue.list(**asked)
    again, questions = await catalogue.list(**asked)
    assert first == again == [("a", "[1]")]
    assert questions == 0
    catalogue.put("b", lr=2)
    assert (await catalogue.list(**asked))[0] == [("a", "[1]"), ("b", "[2]")]
    catalogue.put("a", lr=3)
    assert (await catalogue.list(**asked))[0] == [("a", "[3]"), ("b", "[2]")]
    run = catalogue.tables.load(["b"])[0]
    catalogue.tables.put_deletion(run, 3_000)
    assert (await catalogue.list(**asked))[0] == [("a", "[3]")]


async def test_other_questions_have_other_answers(catalogue: Catalogue) -> None:
    catalogue.put("a", project="p", lr=1)
    catalogue.put("b", project="q", lr=2)
    catalogue.put("c", project="q", lr=3)
    columns = ["config.lr"]
    assert (await catalogue.list(project="p", columns=columns))[0] == [("a", "[1]")]
    in_q, by_id = {"project": "q", "columns": columns}, {"sort": ["id"]}
    assert (await catalogue.list(**in_q, **by_id))[0] == [("b", "[2]"), ("c", "[3]")]
    assert (await catalogue.list(**in_q, sort=["-id"]))[0] == [("c", "[3]"), ("b", "[2]")]
    assert (await catalogue.list(**in_q, **by_id, offset=1))[0] == [("c", "[3]")]
    assert (await catalogue.list(**in_q, filter="config.lr < 3"))[0] == [("b", "[2]")]
    assert (await catalogue.list(project="q", columns=["id"], filter="config.lr < 3"))[0] == [
        ("b", '["b"]')
    ]


async def test_what_goes_on_by_itself_is_read_each_time(catalogue: Catalogue) -> None:
    catalogue.put("a")
    for asked in ({"columns": ["duration"]}, {"columns": ["id"], "filter": "duration > 0"}):
        for _ in range(2):
            found, questions = await catalogue.list(**asked)
            assert (len(found), questions > 0) == (1, True)


def test_names_of_metrics_are_read_once_until_one_comes(catalogue: Catalogue) -> None:
    def put(name: str) -> None:
        row = (7, siphash64(name), name, 1)
        catalogue.store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), [row])

    def names() -> list[str]:
        return list(find_names(catalogue.store, [7], NamesQuery(), {})[0].values())

    put("loss")
    assert names() == ["loss"]
    before = catalogue.asked
    assert names() == ["loss"]
    assert catalogue.asked == before
    put("acc")
    assert names() == ["acc", "loss"]


async def test_a_page_of_large_configs_ends_early_and_parses_none(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in "abc":
        catalogue.put(run_id, text="x" * LIMITS.max_listed_bytes)
    catalogue.index.flush()
    load = catalogue.tables.load

    def bare_only(run_ids: list[str], *, bare: bool = False) -> object:
        assert bare
        return load(run_ids, bare=bare)

    monkeypatch.setattr(catalogue.tables, "load", bare_only)
    executor = ThreadPoolExecutor(1)
    repository = RunsRepository(catalogue.tables, executor, LIMITS)
    for offset, run_id in enumerate("abc"):
        request = runs_pb2.ListRunsRequest(sort=["id"], offset=offset)
        reply = await catalogue.listing.answer(request)
        assert ([run.run_id for run in reply.runs], reply.total) == ([run_id], 3)
        assert len(reply.runs[0].config_json) == LIMITS.max_listed_bytes + len('{"text":""}')
        ((run, (config, summary)),), total = await repository.list("", limit=9, offset=offset)
        assert (run.run_id, total) == (run_id, 3)
        assert (config, summary) == (reply.runs[0].config_json, "{}")
    executor.shutdown()
