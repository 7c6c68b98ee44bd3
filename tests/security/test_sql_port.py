"""Promise: whatever is asked at the SQL port, the service only reads, stays well, and answers in
bounded time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from chdb.state import sqlitelike as sqlite_like

from stepline_ingest.store.formats import OBJECTS
from tests.security.conftest import Guarded
from tests.support.service import Service

DEEP = 20_000

BOMBS = {
    "nested": "SELECT " + "(" * DEEP + "1" + ")" * DEEP,
    "calls": "SELECT " + "abs(" * DEEP + "1" + ")" * DEEP,
    "minus": "SELECT " + "- " * DEEP + "1",
    "not": "SELECT " + "NOT " * DEEP + "1",
    "plus": "SELECT 1" + "+1" * DEEP,
    "arrays": "SELECT " + "[" * DEEP + "1" + "]" * DEEP,
    "union": "SELECT 1 " + "UNION ALL SELECT 1 " * 5_000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "numbers(1)" + ")" * 5_000,
    "types": "SELECT CAST(1 AS " + "Array(" * 5_000 + "Int8" + ")" * 5_000 + ")",
    "recursion": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) "
    "SELECT max(n) FROM t",
    "doubling": "WITH "
    + ", ".join(f"concat(x{i}, x{i}) AS x{i + 1}" for i in range(60))
    + ", 'a' AS x0 SELECT length(x60)",
    "cross": "SELECT count() FROM numbers(1000000) a, numbers(1000000) b, numbers(1000000) c",
    "memory": "SELECT groupArray(number) FROM numbers(100000000000)",
    "rows": "SELECT count() FROM generateRandom('a Array(Array(String))')",
    "range": "SELECT range(1000000000)",
    "sleep": "SELECT sleepEachRow(3) FROM numbers(1000)",
    "quote": "SELECT '" + "\\" * 200_001,
    "comment": "SELECT /*" * 20_000,
    "long": "SELECT 1 -- " + "x" * (2 << 20),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("sql") / "data") as running:
        yield running


def ask(service: Service, sql: str, **query: str) -> Any:
    return urllib3.request(
        "POST", f"http://{service.sql}/?{urlencode(query)}", body=sql.encode(), timeout=60
    )


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(service: Service, name: str) -> None:
    answer = ask(service, BOMBS[name], max_execution_time="1")
    assert answer.status in (400, 500), answer.data[:200]
    assert int(answer.headers["X-ClickHouse-Exception-Code"]) > 0
    assert len(answer.data) < 20_000
    assert ask(service, "SELECT 1").data == b"1\n"


def test_a_query_that_is_too_long_says_how_long_it_may_be(service: Service) -> None:
    for spare in (300_000, 2_000_000):
        answer = ask(service, "SELECT 1 " + " " * spare)
        assert answer.status == 400
        assert b"bytes: shorten it" in answer.data
    form = {"query": "SELECT length({a:String})", "param_a": "x" * 500_000}
    answer = urllib3.request("POST", f"http://{service.sql}", fields=form, timeout=60)
    assert answer.data == b"500000\n"


@pytest.mark.parametrize("kind", [b"Basic", b"Bearer"])
def test_a_key_that_is_no_text_is_none(service: Service, kind: bytes) -> None:
    """This service asks for no key."""
    host, port = service.sql.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall(
            b"GET /?query=SELECT+1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Authorization: %s \xff\r\n\r\n" % kind
        )
        assert sock.makefile("rb").readline().split()[1] == b"200"


def test_no_format_harms(service: Service) -> None:
    sql = "SELECT name FROM system.formats WHERE is_output"
    names = ask(service, sql).data.decode().split()
    assert len(names) > 50
    for name in names:
        answer = ask(service, f"SELECT 1 AS a, 'x' AS b FORMAT {name}")
        assert answer.status in (200, 400), name
    assert service.alive


def test_no_format_of_chdb_alone_is_made(service: Service) -> None:
    """They are made by Python, of the whole answer at once, while nothing else runs."""
    assert sqlite_like._arrow_format | sqlite_like._df_format == OBJECTS
    for name in ("DataFrame", "dataFRAME", "ArrowTable", "arrowtable", "DataStore"):
        for answer in (
            ask(service, f"SELECT 1 FORMAT {name}"),
            ask(service, f"SHOW TABLES FORMAT `{name}`"),
            ask(service, "SELECT 1", default_format=name),
        ):
            assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "73")
            assert b"JSONEachRow" in answer.data


def test_an_error_may_quote_what_is_no_text(service: Service) -> None:
    for sql in ("SELECT toInt8(unhex('ff'))", "SELECT throwIf(1, unhex('ff'))"):
        answer = ask(service, sql)
        assert answer.status == 400
        assert "\ufffd" in answer.data.decode()


def test_an_error_may_be_a_megabyte_of_blanks(service: Service) -> None:
    answer = ask(service, "SELECT throwIf(1, repeat(' ', 1000000))")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "395")


def test_the_log_has_no_text_of_a_query(service: Service) -> None:
    secret = "k7391"
    for sql in (
        f"SELECT throwIf(1, 'Code: 999. DB::Exception: {secret}')",
        f"SELECT groupArray(repeat('{secret}', 1000)) FROM numbers(1000000000)",
        f"SELECT sum(sipHash64(number, '{secret}')) FROM numbers(100000000000)",
        f"SELECT repeat('{secret}', 100) FROM numbers(10000000) FORMAT JSON",
    ):
        answer = ask(service, sql, max_execution_time="1", max_memory_usage="100000000")
        assert answer.data.startswith(b"Code: "), sql
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(service, f"SELECT throwIf(number = 3000000, '{secret}') FROM numbers(10000000)")
    log = service.log.read_text()
    assert "a query failed: code 241 (MEMORY_LIMIT_EXCEEDED)" in log
    assert "a query failed in the middle of its answer: code 395" in log
    assert secret not in log


def test_no_setting_writes_or_leads_elsewhere(service: Service, tmp_path: Path) -> None:
    written = tmp_path / "written"
    for setting in ("output_format_schema", "format_schema", "format_schema_source"):
        for fmt in ("CSV", "Protobuf", "ProtobufList", "CapnProto", "Avro"):
            ask(service, f"SELECT 1 AS a FORMAT {fmt}", **{setting: str(written)})
    ask(
        service,
        "SELECT 1 AS a FORMAT AvroConfluent",
        format_avro_schema_registry_url="http://127.0.0.1:1",
    )
    assert not written.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("readonly", "0"),
        ("role", "service"),
        ("log_comment", "project=x"),
        ("insert_deduplication_token", "x"),
        ("additional_table_filters", "{'raw_runs': '1'}"),
        ("allow_introspection_functions", "1"),
        ("max_memory_usage", "0"),
        ("max_result_bytes", "0"),
    ],
)
def test_settings_that_are_not_for_callers_change_nothing(
    service: Service, name: str, value: str
) -> None:
    sql = f"SELECT toString(getSetting('{name}'))"
    given, left = ask(service, sql, **{name: value}).data, ask(service, sql).data
    if name == "insert_deduplication_token":  # another one for every query
        assert given != value.encode() + b"\n"
    else:
        assert given == left


@pytest.mark.parametrize("value", ["inf", "nan", "-5", "1e308", "0", "18446744073709551616"])
def test_limits_are_lowered_and_never_raised(service: Service, value: str) -> None:
    for name in ("max_execution_time", "max_memory_usage", "max_threads"):
        answer = ask(service, f"SELECT getSetting('{name}')", **{name: value})
        assert answer.status == 200, answer.data
        assert (
            1
            <= float(answer.data)
            <= {"max_execution_time": 60, "max_threads": 2}.get(name, 4 << 30)
        )


def test_a_streamed_answer_of_a_project_is_its_own(guarded: Guarded) -> None:
    key = guarded.key("read", "mine")
    for sql in (
        "SELECT * FROM stepline.raw_runs FORMAT CSVWithNames",
        "SELECT * FROM system.processes FORMAT TSVWithNames",
        "SELECT * FROM merge('stepline', '.*') FORMAT RowBinaryWithNamesAndTypes",
    ):
        answer = urllib3.request(
            "POST", f"http://{guarded.sql}", body=sql, headers={"X-ClickHouse-Key": key}
        )
        assert answer.status in (400, 403), answer.data
    own = urllib3.request(
        "POST",
        f"http://{guarded.sql}/?log_comment=project%3Dtheirs",
        body="SELECT project FROM runs WHERE project != 'mine' FORMAT CSVWithNames",
        headers={"X-ClickHouse-Key": key},
    )
    assert own.data == b'"project"\n'
