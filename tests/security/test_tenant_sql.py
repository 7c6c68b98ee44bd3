"""Promise: SQL with the key of one project sees that project's rows and cannot learn anything about
another project's."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from stepline import _core
from stepline_ingest.store import Store, StoreError, open_store
from stepline_ingest.store.analyst import judged
from tests.support.points import block, line

MINE, THEIRS = "mine", "theirs"
SECRET = 4242.5
"""A value that only the other project has."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One run of ours with 100 points and one of theirs with 50, of the same metric."""
    found = open_store(None, tmp_path_factory.mktemp("store") / "data")
    metric = _core.siphash64("loss")
    for number, (run_id, project, values) in enumerate(
        (("run-a", MINE, [1.0] * 100), ("run-b", THEIRS, [SECRET] * 50), ("run-c", "it's", [7.0]))
    ):
        run = _core.siphash64(run_id)
        found.insert_rows(
            "raw_runs",
            ("run", "run_id", "project", "config", "created", "version"),
            [(run, run_id, project, "{}", 1_700_000_000_000, 1)],
        )
        found.insert_rows(
            "raw_attempts", ("run", "attempt", "world_size", "version"), [(run, 1, 1, 1)]
        )
        found.insert_rows("raw_metrics", ("run", "metric", "name"), [(run, metric, "loss")])
        points = list(line(values, run=run, metric=metric))
        found.insert_points([block(points)], rows=len(points), token=f"t{number}")
    digest = _core.siphash64("k")
    found.insert_rows(
        "raw_keys", ("digest", "scope", "project", "version"), [(f"{digest}", "read", THEIRS, 1)]
    )
    yield found
    found.close()


def ask(store: Store, sql: str, project: str = MINE, **more: object) -> str:
    answer: bytes = store.query_raw(sql, "TSV", readonly=True, project=project, **more)  # type: ignore[arg-type]
    return answer.decode()


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT count(), uniqExact(run) FROM points", "100\t1\n"),
        ("SELECT run, count, max FROM series", "run-a\t100\t1\n"),
        ("SELECT run, project FROM runs", "run-a\tmine\n"),
        ("SELECT run, attempt FROM attempts", "run-a\t1\n"),
        ("SELECT run, metric FROM metrics", "run-a\tloss\n"),
        ("SELECT count() FROM points WHERE run = 'run-b'", "0\n"),
        ("SELECT count() FROM points AS a JOIN series AS b ON a.metric = b.metric", "100\n"),
        ("SELECT (SELECT max(value) FROM points)", "1\n"),
        ("WITH x AS (SELECT * FROM points) SELECT max(value) FROM x", "1\n"),
        ("SELECT count() FROM runs UNION ALL SELECT count() FROM attempts", "1\n1\n"),
        (
            "SHOW TABLES",
            "attempts\nconsole\ncontexts\nexpired\nlineage\nmetrics\npoints\nruns\nseries\nvisible_points\n",
        ),
        ("SELECT name FROM system.tables WHERE name LIKE 'raw%'", ""),
        ("SELECT count() FROM system.parts_columns WHERE 0", None),
        ("SELECT 'system.processes', 1 AS system", "system.processes\t1\n"),
    ],
)
def test_what_a_project_sees_is_its_own(store: Store, sql: str, answer: str | None) -> None:
    if answer is None:
        with pytest.raises(StoreError):
            ask(store, sql)
        return
    lines = sorted(ask(store, sql).splitlines())
    assert lines == sorted(answer.splitlines())


def test_a_project_is_a_value_not_a_pattern_and_not_sql(store: Store) -> None:
    assert ask(store, "SELECT run FROM runs", "it's") == "run-c\n"
    for project in ("", "%", "mine' OR '1'='1", "mine\\", "project=mine", "\n"):
        assert ask(store, "SELECT count() FROM points", project) == "0\n"


@pytest.mark.parametrize(
    "sql",
    [
        *(
            f"SELECT * FROM {database}{table}"
            for database in ("", "stepline.")
            for table in ("raw_points", "raw_runs", "raw_keys", "raw_writers", "raw_rejects")
        ),
        "SELECT * FROM stepline.points",
        "SELECT * FROM stepline.runs",
        "SELECT 1 IN stepline.raw_points",
        "SELECT 1 WHERE 1 IN (SELECT run FROM stepline.raw_runs)",
        "SELECT (SELECT count() FROM stepline.raw_points)",
        "WITH x AS (SELECT * FROM stepline.raw_points) SELECT * FROM x",
        "SELECT * FROM points AS a JOIN stepline.raw_runs AS b ON 1",
        "SELECT * FROM view(SELECT * FROM stepline.raw_points)",
        "SELECT * FROM merge('stepline', 'raw_.*')",
        "SELECT * FROM merge('system', 'processes')",
        "SELECT * FROM merge(REGEXP('s.*'), '.*')",
        "SELECT * FROM mergeTreeIndex('stepline', 'raw_points')",
        "SELECT * FROM mergeTreeProjection('stepline', 'raw_points', 'ledger')",
        "SELECT * FROM loop('stepline', 'raw_points') LIMIT 1",
        "SELECT * FROM loop('system', 'processes') LIMIT 1",
        "SELECT * FROM remote('127.0.0.1', stepline.raw_points)",
        "SELECT * FROM cluster('default', stepline.raw_points)",
        "SELECT hasColumnInTable('stepline', 'raw_points', 'run')",
        "SELECT * FROM system.processes",
        'SELECT * FROM "system"."processes"',
        "SELECT * FROM `system`.`errors`",
        "SELECT * FROM SYSTEM . processes",
        "SELECT * FROM system.query_cache",
        "SELECT * FROM system.parts",
        "SELECT * FROM system.users",
        "SELECT query FROM points, system.processes",
        "SHOW PROCESSLIST",
        "SHOW GRANTS",
        "EXPLAIN ESTIMATE SELECT * FROM points",
        "EXPLAIN SELECT * FROM points",
        "SHOW CREATE TABLE stepline.raw_points",
        "DESCRIBE stepline.raw_points",
        "EXISTS stepline.raw_points",
        "SELECT * FROM points SETTINGS log_comment = 'project=theirs'",
        "SELECT * FROM points SETTINGS additional_table_filters = {'raw_runs': '1'}",
        "SET log_comment = 'project=theirs'",
        "SET ROLE service",
        "SELECT * FROM file('/etc/passwd', 'CSV', 'x String')",
        "SELECT file('/etc/passwd')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "DESCRIBE mergeTreeIndex('stepline', 'raw_points')",
        "DESCRIBE mergeTreeProjection('stepline', 'raw_points', 'ledger')",
        "DESCRIBE `mergeTreeIndex`('stepline', 'raw_points')",
        "DESCRIBE TABLE MergeTreeIndex('stepline', 'raw_points')",
        "DESCRIBE executable('x', 'TSV', 'x String')",
        "SELECT hostName()",
        "SELECT hostname()",
        "SELECT fqdn(), 1",
        "SELECT fullHostName()",
        "SELECT getServerSetting('max_concurrent_queries')",
        "SELECT getServerPort('tcp_port')",
        "SELECT arrayMap(getServerSetting, ['max_concurrent_queries'])",
        "SELECT * APPLY getMacro FROM (SELECT 'x')",
        "SELECT getOSKernelVersion()",
        "SELECT filesystemCapacity()",
        "SELECT tid()",
        "SELECT logTrace('x')",
    ],
)
def test_everything_else_is_refused(store: Store, sql: str) -> None:
    with pytest.raises(StoreError) as caught:
        ask(store, sql)
    assert caught.value.blames_query, caught.value
    assert str(SECRET) not in str(caught.value)


GIVE_WHAT_THEY_ARE_TOLD = frozenset(
    {
        "format",
        "fuzzQuery",
        "generateRandom",
        "generateSeries",
        "generate_series",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "SQLStandardValues",
        "values",
        "view",
        "viewIfPermitted",
        "zeros",
        "zeros_mt",
    }
)


def test_every_table_function_that_leads_elsewhere_is_refused(store: Store) -> None:
    """A new one of the engine has to be put on one side or the other."""
    names = {str(name) for (name,) in store.query("SELECT name FROM system.table_functions")}
    assert names > GIVE_WHAT_THEY_ARE_TOLD
    open_ = set()
    for name in names:
        try:
            judged(f"DESCRIBE {name}('x')", lambda text: text, tenant=True)
        except StoreError:
            continue
        open_.add(name)
    assert open_ == GIVE_WHAT_THEY_ARE_TOLD


def test_drivers_are_told_a_name_that_is_not_that_of_the_host(store: Store) -> None:
    assert ask(store, "SELECT displayName()") == "stepline\n"
    assert (
        ask(
            store,
            "SELECT max(hostname), max(uptime) FROM values('hostname String, uptime "
            "Int8', ('a', 1))",
        )
        == "a\t1\n"
    )


@pytest.mark.parametrize("kind", ["Identifier", "identifier"])
def test_a_table_is_no_parameter(store: Store, kind: str) -> None:
    with pytest.raises(StoreError) as caught:
        ask(
            store,
            f"SELECT * FROM {{d:{kind}}}.{{t:{kind}}}",
            params={"d": "system", "t": "processes"},
        )
    assert caught.value.blames_query


@pytest.mark.parametrize(
    "sql",
    [
        # Each would fail, or fail otherwise, if a row of theirs were looked at.
        f"SELECT count() FROM points WHERE throwIf(value = {SECRET})",
        "SELECT count() FROM points WHERE throwIf(run = 'run-b')",
        f"SELECT sum(intDiv(1, toInt64(value - {SECRET}))) >= 0 OR 1 FROM points",
        "SELECT count() FROM series WHERE throwIf(max > 1000)",
        "SELECT count() FROM runs WHERE throwIf(run = 'run-b')",
        "SELECT count() FROM metrics WHERE throwIf(run = 'run-b')",
        "SELECT count() FROM attempts WHERE throwIf(run = 'run-b')",
        f"SELECT count() FROM points AS a JOIN points AS b ON throwIf(a.value = {SECRET}) = 0"
        " AND a.step = b.step",
    ],
)
def test_no_condition_meets_a_row_of_another_project(store: Store, sql: str) -> None:
    ask(store, sql)


def test_names_prune_by_the_key_for_a_tenant_too(store: Store) -> None:
    raw = store.query_raw(
        "SELECT count() AS n FROM points WHERE run = 'run-a' AND metric = 'loss'",
        "JSON",
        readonly=True,
        project=MINE,
    )
    answer = json.loads(raw)
    assert int(answer["data"][0]["n"]) == 100
    assert answer["statistics"]["rows_read"] <= 130 + 8192


def test_an_analyst_of_all_projects_reads_no_keys(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.query_raw("SELECT * FROM raw_keys", "TSV", readonly=True)
    assert caught.value.code == 497


@pytest.mark.parametrize("sql", ["SHOW PROCESSLIST", "EXPLAIN SELECT 1", "SELECT * FROM system.x"])
def test_the_judge_asks_less_of_who_may_see_everything(sql: str) -> None:
    assert judged(sql, lambda text: text) == sql
    with pytest.raises(StoreError):
        judged(sql, lambda text: text, tenant=True)
