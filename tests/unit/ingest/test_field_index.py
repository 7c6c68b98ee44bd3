"""Promise: what runs are found by is what their configs say, whatever died in between."""

from __future__ import annotations

import pytest

from stepline._core import siphash64
from stepline_ingest.catalogue.changes import changed_keys
from stepline_ingest.catalogue.fields import MAX_ADDRESSES
from stepline_ingest.catalogue.filter_parse import parse_filter
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.known import Scope
from stepline_ingest.catalogue.runs_table import RunsQuery, RunsTable
from stepline_ingest.errors import ServiceError
from stepline_ingest.run_record import Attempt
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.schema.purge import purge
from stepline_ingest.store import Store, StoreError
from tests.support.run_records import run_record


def put(
    store: Store, index: FieldIndex | None, run_id: str, version: int, **config: object
) -> None:
    attempt = Attempt(number=1, launch_id="l", world_size=1, created_ms=1)
    run = run_record(
        run_id,
        [attempt],
        config=config,
        created_ms=version,
        updated_ms=version,
        version=version,
    )
    tables = SqlRunTables(store, **({} if index is None else {"stored": index.note}))
    tables.put_attempts([(run_id, attempt)])
    tables.put_runs([run])


def find(store: Store, text: str) -> list[str]:
    query = RunsQuery(scope=Scope(), filter=text, tree=parse_filter(text), limit=100)
    return sorted(RunsTable(store).page(query)[0])


def test_keys_come_change_and_go(store: Store) -> None:
    index = FieldIndex(store)
    put(store, index, "a", 1, lr=1, old="x")
    put(store, index, "b", 1, lr=2)
    index.flush()
    put(store, index, "a", 2, lr=3, new=True)
    index.flush()
    assert find(store, "config.lr > 1") == ["a", "b"]
    assert find(store, "config.new = true") == ["a"]
    assert find(store, "config.new = null") == ["b"]
    put(store, index, "b", 2, old="y")
    index.flush()
    assert find(store, "config.old != null") == ["b"]


def test_a_store_without_an_index_gets_one(store: Store) -> None:
    for number in range(3):
        put(store, None, f"r{number}", 1, lr=number)
    index = FieldIndex(store)
    assert index.catch_up() == 3
    assert find(store, "config.lr >= 1") == ["r1", "r2"]
    put(store, None, "r1", 2, other=1)  # by a process that died before it wrote the index
    assert FieldIndex(store).catch_up() == 1
    assert find(store, "config.lr >= 1") == ["r2"]
    assert FieldIndex(store).catch_up() == 0


def test_a_half_made_index_is_not_read(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def __getattr__(self, name: str) -> object:
            raise StoreError("not yet")

    monkeypatch.setattr("stepline_ingest.catalogue.index.PATIENCE", 0.0)
    index = FieldIndex(Stuck())  # type: ignore[arg-type]
    index.start()
    try:
        with pytest.raises(ServiceError, match="being indexed") as caught:
            index.flush()
        assert caught.value.is_retryable
    finally:
        index.stop()


def test_what_could_not_be_written_is_written_later(embedded: Store) -> None:
    class Broken:
        def __init__(self) -> None:
            self.failing = True

        def __getattr__(self, name: str) -> object:
            if self.failing and name == "insert_rows":
                raise StoreError("no")
            return getattr(embedded, name)

    broken = Broken()
    index = FieldIndex(broken)  # type: ignore[arg-type]
    put(embedded, index, "a", 1, lr=1)
    with pytest.raises(StoreError):
        index.flush()
    put(embedded, index, "a", 2, lr=2)
    broken.failing = False
    index.flush()
    assert find(embedded, "config.lr = 2") == ["a"]


def test_halves_of_pairs_that_a_store_holds_are_indexed(embedded: Store) -> None:
    put(embedded, None, "a", 1, text="\ud800", **{"\udfff": 1})
    put(embedded, None, "b", 1, text="\udfff\ud800")
    assert FieldIndex(embedded).catch_up() == 2
    (run,) = SqlRunTables(embedded).load(["a"])
    assert run.config == {"text": "\ufffd", "\ufffd": 1}
    assert find(embedded, 'config.text = "\\ud800"') == ["a"]
    assert find(embedded, 'config.text != "x"') == ["a", "b"]


class Refusing:
    """Fails in a way that nobody foresaw when a row of the run that is BROKEN is written."""

    def __init__(self, store: Store, broken: str) -> None:
        self._store, self._broken = store, siphash64(broken)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def insert_rows(self, table: str, columns: object, rows: list[tuple[object, ...]]) -> None:
        if any(self._broken in row for row in rows):
            raise RuntimeError("nobody foresaw this")
        self._store.insert_rows(table, columns, rows)  # type: ignore[arg-type]


def test_a_run_that_cannot_be_indexed_keeps_no_other_waiting(embedded: Store) -> None:
    index = FieldIndex(Refusing(embedded, "bad"))  # type: ignore[arg-type]
    for run_id in ("a", "bad", "c"):
        put(embedded, index, run_id, 1, lr=1)
    index.flush()
    assert find(embedded, "config.lr = 1") == ["a", "c"]
    assert not index._pending
    put(embedded, None, "d", 1, lr=1)
    index.start()
    try:
        assert index._caught_up.wait(60)
        put(embedded, index, "e", 1, lr=1)
        index.flush()
        assert index._thread is not None
        assert index._thread.is_alive()
    finally:
        index.stop()
    assert find(embedded, "config.lr = 1") == ["a", "c", "d", "e"]


class Counting:
    """Counts the rows of each call at a store, by what is asked or written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: list[int] = []
        self.written: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def query(self, sql: str, *how: object) -> list[tuple[object, ...]]:
        rows = self._store.query(sql, *how)  # type: ignore[arg-type]
        if "summary, version FROM raw_runs" in sql:
            self.read.append(len(rows))
        return rows

    def insert_rows(self, table: str, columns: object, rows: list[tuple[object, ...]]) -> None:
        if table == "raw_fields":
            self.written.append(len(rows))
        self._store.insert_rows(table, columns, rows)  # type: ignore[arg-type]


def test_large_configs_are_not_indexed_all_together(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepline_ingest.catalogue.index._BATCH_KEYS", 25)
    monkeypatch.setattr("stepline_ingest.catalogue.index._BATCH_BYTES", 700)
    store = Counting(embedded)
    index = FieldIndex(store)  # type: ignore[arg-type]
    ten = {f"k{n}": "x" * 10 for n in range(10)}
    for run in "abcde":
        put(embedded, None, run, 1, **ten)
    assert index.catch_up() == 5
    assert store.read == [3, 2]
    assert store.written == [20, 10, 20]
    store.written.clear()
    for run in "abcde":  # what goes counts like what comes
        put(embedded, index, run, 2, k0=run)
    index.flush()
    assert store.written == [20, 20, 10]
    assert find(embedded, 'config.k0 != "a"') == ["b", "c", "d", "e"]
    put(embedded, index, "f", 1, **{f"k{n}": n for n in range(100)})
    index.flush()
    assert find(embedded, "config.k99 = 99") == ["f"]
    assert FieldIndex(embedded).catch_up() == 0


def test_a_config_of_one_long_key_around_many_is_indexed_in_its_own_size(embedded: Store) -> None:
    index = FieldIndex(embedded)
    put(embedded, index, "a", 1, **{"k" * 100_000: {str(n): n for n in range(20_000)}, "lr": 1})
    put(embedded, index, "b", 1, **{"k" * 900: {str(n): n for n in range(20_000)}})
    index.flush()
    assert find(embedded, "config.lr = 1") == ["a"]
    ((chars,),) = embedded.query("SELECT sum(length(key)) FROM raw_fields")
    assert 900 < int(str(chars)) < 1.1 * MAX_ADDRESSES


def test_what_changed_behind_a_long_key_is_told_in_short() -> None:
    long = "k" * 100_000
    before: dict[str, object] = {f"{n}{long}": {str(i): i for i in range(10)} for n in range(2_000)}
    after = {key: {"0": 1} for key in before}
    for changed in ({"a": 1, **after}, after):
        keys = changed_keys(before, changed)
        assert 1 <= len(keys) <= 1_000
        assert max(len(text) for key in keys for text in key) <= 1_100
    assert changed_keys(before, {**before, "a": 1}) == (("a", "", "1"),)


def test_a_config_that_cannot_be_read_is_passed_over(embedded: Store) -> None:
    for run_id in ("a", "bad"):
        put(embedded, None, run_id, 1, lr=1)
    columns = ("run", "run_id", "project", "config", "summary", "version")
    row = (siphash64("bad"), "bad", "p", "{no JSON", "{}", 2)
    embedded.insert_rows("raw_runs", columns, [row])
    index = FieldIndex(embedded)
    index.catch_up()
    assert find(embedded, "config.lr = 1") == ["a"]


def test_a_deleted_run_is_not_found_and_leaves_nothing(embedded: Store) -> None:
    index = FieldIndex(embedded)
    put(embedded, index, "a", 1, lr=1)
    index.flush()
    (run,) = SqlRunTables(embedded).load(["a"])
    SqlRunTables(embedded).put_deletion(run, 5)
    assert find(embedded, "config.lr = 1") == []
    while not purge(embedded):
        pass
    for table in ("raw_fields", "raw_indexed"):
        assert embedded.query(f"SELECT count() FROM {table}") == [(0,)]


def test_an_unknown_key_names_the_nearest_unless_there_is_no_run(embedded: Store) -> None:
    assert find(embedded, "config.lr > 1") == []
    index = FieldIndex(embedded)
    put(embedded, index, "a", 1, **{"optimizer": {"weight decay": 1}, "lr": 1})
    index.flush()
    for text, said in (
        ("config.weight_decay = 1", 'did you mean config."optimizer.weight decay"?'),
        ("lr = 1 or config.lr = 1", "use id, name"),
        ("config.learning_rate = 1", "`stepline runs --keys` lists"),
        ("summary.lr = 1", "`stepline runs --keys` lists"),
    ):
        with pytest.raises(ServiceError) as caught:
            find(embedded, text)
        assert said in caught.value.message
