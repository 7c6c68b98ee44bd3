"""Promise: SQL from people reads the views of this store and reaches nothing else."""

from __future__ import annotations

import json

import pytest

from stepline_ingest.limits import Limits
from stepline_ingest.store import StoreError
from stepline_ingest.store.analyst import judged
from stepline_ingest.store.functions import COMBINATORS
from tests.support.points import block, line


def ask(store, sql, fmt="TSV", **more):
    return store.query_raw(sql, fmt, readonly=True, **more)


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("42\n")
    return path


@pytest.fixture(scope="module")
def store(shared):
    """4 runs of 20 metrics and 500 steps; enough granules that a pruned read shows."""
    runs = [f"run-{i}" for i in range(4)]
    names = [f"m/{i}" for i in range(20)]
    hashes = {
        text: shared.query("SELECT sipHash64({t:String})", {"t": text})[0][0]
        for text in (*runs, *names)
    }
    points = [
        point
        for run in runs
        for name in names
        for point in line([float(i) for i in range(500)], run=hashes[run], metric=hashes[name])
    ]
    # A run that changed has several rows until they are merged; it is still one run.
    for version in (1, 2):
        shared.insert_rows(
            "raw_runs", ("run", "run_id", "version"), [(hashes[r], r, version) for r in runs]
        )
    shared.insert_rows(
        "raw_metrics",
        ("run", "metric", "name"),
        [(hashes[r], hashes[n], n) for r in runs for n in names],
    )
    shared.insert_points([block(points)], rows=len(points), token="t")
    return shared


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO raw_runs (run) VALUES (1)",
        "CREATE TABLE mine (a UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a UInt8)",
        "DROP TABLE raw_points",
        "TRUNCATE TABLE raw_points",
        "ALTER TABLE raw_points DELETE WHERE 1",
        "OPTIMIZE TABLE raw_points FINAL",
        "DELETE FROM raw_points WHERE 1",
        "RENAME TABLE raw_points TO gone",
        "DETACH TABLE raw_points",
        "SYSTEM STOP MERGES",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "SET ROLE service",
        "USE system",
        "GRANT ALL ON *.* TO default",
        "CREATE USER intruder",
        "BACKUP TABLE raw_points TO File('backup')",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1; DROP TABLE raw_points",
        "SELECT 1 INTO OUTFILE 'OUT'",
        "SELECT 1 INTO OUTFILE 'OUT' FORMAT CSV",
        "DESCRIBE (SELECT 1) INTO OUTFILE 'OUT'",
        "SELECT 1) INTO OUTFILE 'OUT' --",
        "SELECT * FROM file('SECRET', 'CSV', 'x String')",
        "SELECT * FROM 'SECRET'",
        "SELECT * FROM `SECRET`",
        "SELECT file('SECRET')",
        "SELECT `file`('SECRET')",
        "SELECT \"file\"('SECRET')",
        "SELECT file /* */ ('SECRET')",
        "SELECT (SELECT file('SECRET'))",
        "SELECT * APPLY file FROM (SELECT 'SECRET' AS x)",
        "SELECT * APPLY(`file`) FROM (SELECT 'SECRET' AS x)",
        "SELECT * APPLY(`file`, 'x') FROM (SELECT 'SECRET' AS x)",
        "SELECT COLUMNS('x') APPLY(x -> file(x)) FROM (SELECT 'SECRET' AS x)",
        "SELECT arrayMap(file, ['SECRET'])",
        "SELECT arrayMap(((file)), ['SECRET'])",
        "SELECT arrayMap(file AS f, ['SECRET'])",
        "WITH (x -> file(x)) AS f SELECT f('SECRET')",
        "SELECT * FROM eval('SELECT 1')",
        "EXPLAIN SELECT file('SECRET')",
        "WITH (SELECT file('SECRET')) AS x SELECT x",
        "INSERT INTO FUNCTION file('OUT') SELECT 1",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'x String')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'CSV', 'x String')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM sqlite('OUT', 'x')",
        "SELECT * FROM executable('x', 'TSV', 'x String')",
        "SELECT * FROM Python(secret)",
        "DESCRIBE python('secret')",
        "DESCRIBE arrowstream('secret')",
        "SELECT catboostEvaluate('SECRET', 1)",
        "",
        "nonsense ' (",
    ],
)
def test_what_does_more_than_read_is_refused(store, secret, sql):
    out = secret.with_name("out")
    with pytest.raises(StoreError) as caught:
        ask(store, sql.replace("SECRET", str(secret)).replace("OUT", str(out)))
    assert caught.value.blames_query, caught.value
    assert not out.exists()
    assert store.query("SELECT count() FROM raw_runs FINAL") == [(4,)]


@pytest.mark.parametrize(
    "call",
    [
        "arrayLevenshteinDistance([1], [2])",
        "arrayLevenshteinDistanceWeighted([1], [2], [1.], [1.])",
        "arraySimilarity([1], [2], [1.], [1.])",
        "editDistance('a', 'b')",
        "EDITDISTANCE('a', 'b')",
        "editDistanceUTF8('a', 'b')",
        "levenshteinDistance('a', 'b')",
        "levenshteinDistanceUTF8('a', 'b')",
        "damerauLevenshteinDistance('a', 'b')",
        "jaroSimilarity('a', 'b')",
        "jaroWinklerSimilarity('a', 'b')",
        "arrayReduceInRanges('uniqExact', [(1, 1)], [1])",
        "arrayMap(jaroSimilarity, ['a'], ['b'])",
        "extractTextFromHTML('a')",
        "h3kRing(1, 1)",
        "JSONMergePatch('{}', '{}')",
        "polygonsDistanceSpherical([[[(0., 0.)]]], [[[(0., 0.)]]])",
        "seriesDecomposeSTL([1., 2.], 1)",
        "kolmogorovSmirnovTest('two-sided', 'exact')(1., 1)",
        "kolmogorovSmirnovTestIf(1., 1, 1)",
        "polygonsUnionCartesian([[[(0., 0.)]]], [[[(0., 0.)]]])",
        "polygonsIntersectionSpherical([[[(0., 0.)]]], [[[(0., 0.)]]])",
        "polygonsSymDifferenceCartesian([[[(0., 0.)]]], [[[(0., 0.)]]])",
        "polygonsWithinSpherical([[[(0., 0.)]]], [[[(0., 0.)]]])",
    ],
)
def test_what_takes_the_square_of_a_value_is_refused(store, call):
    with pytest.raises(StoreError, match="leave it out, and compare in a program of your own"):
        ask(store, f"SELECT {call}")


STATE = "CAST(unhex('00'), concat('Aggregate', 'Function(count)'))"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT finalizeAggregation({STATE})",
        f"SELECT `finalizeAggregation`({STATE})",
        f"SELECT arrayMap(finalizeAggregation, [{STATE}])",
        f"SELECT arrayMap(x -> finalizeAggregation(x), [{STATE}])",
        f"SELECT * APPLY finalizeAggregation FROM (SELECT {STATE} AS x)",
        f"SELECT runningAccumulate({STATE})",
        f"SELECT countMerge({STATE})",
        f"SELECT countMergeState({STATE})",
        f"SELECT COUNTMergeIfOrNull({STATE}, 1)",
        f"SELECT countMerge({STATE}) FILTER (WHERE 1)",
        f"SELECT countMerge({STATE}) OVER ()",
        f"SELECT * APPLY(countMerge) FROM (SELECT {STATE} AS x)",
        f"SELECT arrayReduce('countMerge', [{STATE}])",
        f"SELECT initializeAggregation('countMergeState', {STATE})",
    ],
)
def test_states_that_anyone_could_have_made_are_refused(store, sql):
    with pytest.raises(StoreError, match="aggregate the values themselves"):
        ask(store, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT arrayReduce(concat('kolmogorov', 'SmirnovTest'), [1.], [1])",
        "SELECT arrayReduce('kolmogorovSmirnovTest(0.5)', [1.], [1])",
        "SELECT arrayReduce({f:String}, [1.], [1])",
        "WITH 'sum' AS f SELECT arrayReduce(f, [1])",
        "WITH 'kolmogorovSmirnovTest' AS `'sum'` SELECT arrayReduce(`'sum'`, [1.], [1])",
        "SELECT arrayReduce(x'6B6F6C6D6F676F726F76536D69726E6F7654657374', [1.], [1])",
        "SELECT arrayReduce($$kolmogorovSmirnovTest$$, [1.], [1])",
        "SELECT initializeAggregation('kolmogorovSmirnovTest' AS f, 1., 1)",
        "SELECT arrayMap(arrayReduce, ['sum'], [[1]])",
    ],
)
def test_a_function_is_not_named_in_a_roundabout_way(store, sql):
    params = {"f": "kolmogorovSmirnovTest"} if "{f" in sql else None
    with pytest.raises(StoreError, match=r"hours for one row|as a plain text"):
        ask(store, sql, params=params)


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT arrayReduce('sum', [1, 2]), arrayReduce('quantiles(0.5)', [1])", b"3\t[1]\n"),
        ("SELECT finalizeAggregation FROM (SELECT 1 AS finalizeAggregation)", b"1\n"),
        ("SELECT max(lastMerge) FROM (SELECT 1 AS lastMerge)", b"1\n"),
        ("WITH lastMerge AS (SELECT 1 AS a) SELECT a FROM lastMerge", b"1\n"),
        ("SELECT uniqIf(number, number < 2), sumOrNull(number) FROM numbers(3)", b"2\t3\n"),
        ("SELECT quantilesExactArray(0.5)([number, 5]) FROM numbers(1)", b"[5]\n"),
        ("SELECT rankCorr(number, number), median(number) FROM numbers(3)", b"1\t1\n"),
        ("SELECT sumForEach([number]), sumMap(map(1, number)) FROM numbers(2)", b"[1]\t{1:1}\n"),
        ("SELECT max(python), max(hostname) FROM (SELECT 1 AS python, 2 AS hostname)", b"1\t2\n"),
    ],
)
def test_what_people_use_is_left_alone(store, sql, answer):
    assert ask(store, sql) == answer


def test_the_combinators_are_those_of_the_engine(store):
    names = store.query("SELECT name FROM system.aggregate_function_combinators")
    assert {name for (name,) in names} == set(COMBINATORS)


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT 1", b"1\n"),
        ("select /* a; comment */ 1 -- and another", b"1\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", b"1\n1\n"),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", b"1\n"),
        ("SELECT count() FROM points", b"40000\n"),
        ("EXISTS points", b"1\n"),
        ("SELECT 'file(1) INTO OUTFILE'", b"file(1) INTO OUTFILE\n"),
        ("SELECT 1 AS file, file + 1", b"1\t2\n"),
        ("SELECT a, file FROM (SELECT 1 AS a, 2 AS file) ORDER BY a, file", b"1\t2\n"),
        ("SELECT {p:String} FORMAT CSV", b'"a""\'\n"\n'),
    ],
)
def test_what_reads_is_answered(store, sql, answer):
    params = {"p": "a\"'\n"} if "{p" in sql else None
    assert ask(store, sql, params=params) == answer


def test_a_query_may_be_as_long_as_is_told(store):
    most = Limits().max_query_bytes
    beginning, ending = "SELECT 1 IN (1", ")"
    middle = ",1" * ((most - len(beginning) - len(ending)) // 2)
    assert ask(store, beginning + middle + ending) == b"1\n"
    with pytest.raises(StoreError, match=r"written out.*allowed: shorten it, or nest it less"):
        ask(store, "SELECT * FROM (" * 50 + "SELECT 1" + ",1" * 10_000 + ")" * 50)


def test_views_are_described(store):
    rows = ask(store, "SHOW TABLES").decode().split()
    assert {"points", "runs", "series", "attempts", "metrics"} <= set(rows)
    assert b"metric\tString" in ask(store, "DESCRIBE points")


def test_limits_hold(store):
    with pytest.raises(StoreError) as caught:
        ask(
            store,
            "SELECT sum(number) FROM numbers(100000000000)",
            settings={"max_execution_time": 1},
        )
    assert caught.value.is_retryable
    with pytest.raises(StoreError) as caught:
        ask(
            store,
            "SELECT groupArray(number) FROM numbers(100000000)",
            settings={"max_memory_usage": 50_000_000},
        )
    assert caught.value.code == 241
    with pytest.raises(StoreError) as caught:
        ask(store, "SELECT number FROM numbers(100000)", settings={"max_result_bytes": 100_000})
    assert caught.value.code == 396
    assert ask(store, "SELECT 42") == b"42\n"


# --- the view `points` ---


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("run = 'run-2' AND metric = 'm/7'", 500),
        ("metric IN ('m/7', 'm/8') AND run = 'run-1'", 1000),
        ("metric LIKE 'm/1%' AND run = 'run-1'", 5500),
        ("run = 'run-3'", 10_000),
        ("run = 'nobody'", 0),
    ],
)
def test_names_in_a_view_prune_by_the_key(store, where, rows):
    sql = f"SELECT count() AS n FROM points WHERE {where}"
    small_tables, granule = 100, 8192
    answer = json.loads(ask(store, sql, "JSON"))
    assert int(answer["data"][0]["n"]) == rows
    assert answer["statistics"]["rows_read"] <= small_tables + rows + 2 * granule
    unpruned = store.query_raw(sql, "JSON", readonly=False)
    assert rows == 0 or json.loads(unpruned)["statistics"]["rows_read"] >= 40_000


def test_points_and_series_show_names(store):
    sql = "SELECT * FROM points WHERE run = 'run-0' AND metric = 'm/3' AND step = 499"
    row = json.loads(ask(store, sql, "JSONEachRow"))
    time = row.pop("time")
    assert row == {
        "run": "run-0",
        "metric": "m/3",
        "rank": 0,
        "attempt": 1,
        "step": 499,
        "value": 499,
    }
    assert time.startswith("2026-")
    sql = (
        "SELECT * EXCEPT (first_time, last_time) FROM series WHERE run = 'run-0' AND metric = 'm/3'"
    )
    assert json.loads(ask(store, sql, "JSONEachRow")) == {
        "run": "run-0",
        "metric": "m/3",
        "rank": 0,
        "attempt": 1,
        "count": 500,
        "nonfinite": 0,
        "first_step": 0,
        "last_step": 499,
        "first": 0,
        "last": 499,
        "min": 0,
        "max": 499,
        "mean": 249.5,
    }


# --- the judgement itself ---


@pytest.mark.parametrize(
    "canonical",
    ["SELECT `file`('x')", "SELECT file ('x')", 'SELECT "FILE"(1)', "SELECT 1\nINTO OUTFILE 'x'"],
)
def test_the_judge_looks_through_quotes_and_blanks(canonical):
    with pytest.raises(StoreError):
        judged("", lambda _: canonical)


@pytest.mark.parametrize(
    "canonical",
    [
        r"SELECT '\'file(1)'",
        "SELECT `a'b`, 'file(1)', `c'd`",
        "SELECT 'INTO OUTFILE'",
        "SELECT file",
    ],
)
def test_the_judge_does_not_read_literals(canonical):
    assert judged("", lambda _: canonical) == canonical
