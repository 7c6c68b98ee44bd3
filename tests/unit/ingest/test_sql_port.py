"""Promise: clients of ClickHouse that speak HTTP can be pointed at the SQL port: they connect, ask,
and hear of errors, also in the middle of an answer; large answers are streamed."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import aiochclient
import aiohttp
import clickhouse_connect
import lz4.frame
import psutil
import pytest
import urllib3
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

import stepline
from tests.support.service import Service

POINTS = 50_000
BREAKS = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000)"
ENDLESS = "SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("sql") / "data") as running:
        run = stepline.init(
            project="p",
            server=running.grpc,
            dir=running.data.with_name("spools"),
            uploader="thread",
            run_id="r1",
        )
        run.log_array("loss", list(range(POINTS)), [float(i) for i in range(POINTS)])
        assert run.finish(timeout=60).complete
        yield running


def client_of(service: Service, **more: Any) -> Any:
    host, port = service.sql.rsplit(":", 1)
    return clickhouse_connect.get_client(host=host, port=int(port), **more)


def post(service: Service, sql: str, query: str = "", **headers: str) -> Any:
    return urllib3.request(
        "POST",
        f"http://{service.sql}/?{query}",
        body=sql.encode(),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        timeout=60,
        decode_content=False,
    )


# --- clickhouse-connect ---


@pytest.mark.parametrize("packing", [False, "lz4", "zstd", "gzip"])
def test_clickhouse_connect_reads_everything(service: Service, packing: Any) -> None:
    client = client_of(service, compress=packing)
    frame = client.query_df("SELECT step, value, time FROM points ORDER BY step")
    assert frame.shape == (POINTS, 3)
    assert list(frame["value"][:3]) == [0.0, 1.0, 2.0]
    with client.query_row_block_stream("SELECT step, run FROM points") as blocks:
        assert sum(len(block) for block in blocks) == POINTS
    assert client.query_arrow("SELECT value FROM points").num_rows == POINTS
    assert client.query("SELECT step FROM points WHERE step < 0").result_rows == []
    client.close()


def test_clickhouse_connect_binds_parameters(service: Service) -> None:
    client = client_of(service)
    values = {"a": ["x'", "y\\"], "b": "it's\ta\\b\n", "c": 7}
    asked = client.query("SELECT {a:Array(String)}, {b:String}, {c:UInt8}", parameters=values)
    assert asked.result_rows == [tuple(values.values())]
    in_a_form = client_of(service, form_encode_query_params=True)
    assert in_a_form.query("SELECT {b:String}", parameters=values).result_rows == [(values["b"],)]


@pytest.mark.parametrize("packing", [False, "lz4", "zstd"])
def test_clickhouse_connect_hears_of_errors(
    service: Service, packing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    client = client_of(service, compress=packing)
    with pytest.raises(DatabaseError, match="code: 47"):
        client.query("SELECT nothing")
    with pytest.raises(DatabaseError, match="only reads"):
        client.command("CREATE TABLE x (a Int8) ENGINE = Memory")
    with pytest.raises(StreamFailureError, match="throwIf"):
        client.query(BREAKS).result_rows  # noqa: B018


# --- another client ---


async def test_aiochclient_reads(service: Service) -> None:
    async with aiohttp.ClientSession() as session:
        client = aiochclient.ChClient(session, url=f"http://{service.sql}")
        assert await client.is_alive()
        row = await client.fetchrow("SELECT run, metric, count() AS n FROM points GROUP BY 1, 2")
        assert (row["run"], row["metric"], row["n"]) == ("r1", "loss", POINTS)
        steps = [row["step"] async for row in client.iterate("SELECT step, time FROM points")]
        assert sorted(steps) == list(range(POINTS))
        with pytest.raises(aiochclient.ChClientError, match="47"):
            await client.fetch("SELECT nothing")


# --- clickhouse-go, and with it Grafana's data source ---

REVISION = "default_format=Native&client_protocol_version=54460&database=stepline"
INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
OF_ALL_TYPES = (
    "number",
    "toString(number)",
    "repeat('x', 300)",
    "['a', toString(number)]",
    "[[number], []]",
    "toNullable(toString(number))",
    "CAST(NULL, 'Nullable(Int8)')",
    "NULL",
    "(number, 'b')",
    "CAST((1, 'b'), 'Tuple(a Int8, `b, c` String)')",
    "map('k', [number])",
    "toDecimal32(1, 2)",
    "toDecimal128(1, 2)",
    "toDateTime64(0, 3, 'UTC')",
    "today()",
    "CAST('a, b', 'Enum8(\\'a, b\\' = 1, \\')\\' = 2)')",
    "generateUUIDv4()",
    "toIPv6('::1')",
    "toFixedString('ab', 5)",
    "toInt256(number)",
    "true",
    "toIntervalSecond(number)",
    "toLowCardinality(toNullable(toString(number)))",
    "CAST(['a'], 'Array(LowCardinality(Nullable(String)))')",
    "CAST([], 'Array(LowCardinality(String))')",
    "CAST(map('k', ('v', 1)), 'Map(LowCardinality(String), Tuple(LowCardinality(String), Int8))')",
)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_columns_say_that_their_cells_lie_in_the_usual_order(service: Service, rows: int) -> None:
    columns = ", ".join(f"{value} AS column{i}" for i, value in enumerate(OF_ALL_TYPES))
    sql = f"SELECT {columns} FROM numbers({rows})"
    names = f"SELECT * FROM ({sql}) FORMAT TabSeparatedWithNamesAndTypes"
    types = post(service, names).data.decode().splitlines()[1].split("\t")
    # A UUID is not the same again.
    sql = sql.replace("generateUUIDv4()", "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')")
    plain, at = post(service, sql, "default_format=Native").data, 0
    expected = INFO if plain else b""
    for number, name in enumerate(types if plain else ()):
        of_type = name.replace("\\'", "'").encode()
        head = b"%ccolumn%d%c%s" % (6 + len(str(number)), number, len(of_type), of_type)
        begin = plain.index(head, at) + len(head)
        expected += plain[at:begin] + b"\0"
        at = begin
    assert post(service, sql, REVISION).data == expected + plain[at:]


def test_every_block_has_its_beginning(service: Service) -> None:
    sql = "SELECT number AS n, toString(n) AS text FROM numbers(200000)"
    data, at, rows = post(service, sql, REVISION).data, 0, 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        assert data[at : at + 8] == INFO
        at += 8
        assert number() == 2
        count = number()
        head = b"\x01n\x06UInt64\x00"
        assert data[at : at + len(head)] == head
        at += len(head)
        assert data[at : at + 8] == rows.to_bytes(8, "little")
        at += 8 * count
        head = b"\x04text\x06String\x00"
        assert data[at : at + len(head)] == head
        at += len(head)
        for row in range(rows, rows + count):
            size = number()
            assert data[at : at + size] == b"%d" % row
            at += size
        rows += count
    assert rows == 200_000


def test_what_such_a_client_cannot_read_is_refused(service: Service) -> None:
    answer = post(service, "SELECT sumState(number) FROM numbers(3)", REVISION)
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "48")
    assert b"CAST" in answer.data
    assert post(service, "SELECT 1", "client_protocol_version=new").status == 400


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT 1", b"1\n"),
        ("SELECT displayName() != '', version() != '', revision() > 54454, timezone() != ''", None),
        ("SHOW DATABASES", b"stepline\n"),
        ('SHOW TABLES FROM "stepline"', b"visible_points\n"),
        ('DESC TABLE "stepline"."points"', b"step\tInt64"),
        ("SELECT name FROM system.databases ORDER BY name", b"stepline\n"),
        ("SELECT name FROM system.tables WHERE database = 'stepline' ORDER BY name", b"points\n"),
        ("SELECT name, type, table FROM system.columns WHERE database IN ('stepline')", b"points"),
        (
            "SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, "
            "arguments, returned_value, examples, categories FROM system.functions LIMIT 10000",
            b"toStartOfInterval",
        ),
        (
            # $__timeInterval, $__timeFilter and $__timeFilter_ms, as they are written out
            "SELECT toStartOfInterval(toDateTime(time), INTERVAL 20 second) AS at, metric, "
            'avg(value) FROM "stepline"."points" WHERE run = \'r1\' AND time >= '
            "toDateTime(0) AND time <= toDateTime(4000000000) AND time >= "
            "fromUnixTimestamp64Milli(0) AND time <= fromUnixTimestamp64Milli(4000000000000) "
            "GROUP BY at, metric ORDER BY at LIMIT 1000",
            b"\tloss\t",
        ),
    ],
)
def test_what_grafana_asks_is_answered(service: Service, sql: str, answer: bytes | None) -> None:
    assert post(service, sql, REVISION).data.startswith(INFO)
    text = post(service, sql).data
    assert answer in text if answer else text == b"1\t1\t1\t1\n"


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        (
            "SELECT currentUser() AS user, timezone() AS timezone, version() AS version, "
            "toUInt8(ifnull((SELECT value FROM system.settings WHERE name = 'readonly'), '0'))",
            b"\t1\n",
        ),
        (
            "SELECT t.database AS TABLE_SCHEM, t.name AS TABLE_NAME, if(t.is_temporary = 1, "
            "concat('Temporary', t.engine), t.engine) AS TABLE_TYPE, d.engine AS TYPE_SCHEM FROM "
            "system.tables t JOIN system.databases d ON system.tables.database = "
            "system.databases.name WHERE t.database LIKE '%' AND t.name LIKE 'points'",
            b"stepline\tpoints\tView\t",
        ),
        (
            "SELECT name, type, toInt32(numeric_precision_radix), character_octet_length, "
            "toInt32(system.columns.position) AS ORDINAL_POSITION FROM system.columns WHERE "
            "database LIKE 'stepline' AND table LIKE 'points' ORDER BY ORDINAL_POSITION",
            b"step\tInt64\t2\t",
        ),
        (
            "SELECT dt.name, dt.case_insensitive, v.x FROM system.data_type_families dt LEFT JOIN "
            "(SELECT * FROM VALUES ('name String, x Int8', ('Int8', 1))) v USING name",
            b"Int8\t0\t1\n",
        ),
        ("SHOW CREATE TABLE points", b"CREATE VIEW"),
    ],
)
def test_what_dbeaver_asks_is_answered(service: Service, sql: str, answer: bytes) -> None:
    assert answer in post(service, sql).data


# --- what is on the wire ---


def test_headers(service: Service) -> None:
    answer = post(service, "SELECT 1", "query_id=my-id")
    assert answer.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"] == "stepline"
    for sql, rows in (
        ("SELECT 1", "1"),
        ("SELECT 1 WHERE 0", "0"),
        ("SELECT 2 FORMAT JSON", "1"),
    ):
        summary = json.loads(post(service, sql).headers["X-ClickHouse-Summary"])
        assert summary["written_rows"] == "0"
        assert summary["result_rows"] == rows, "JDBC takes 0 for an empty answer"
    assert post(service, "SELECT 1", "query_id=a%0d%0ab").headers["X-ClickHouse-Query-Id"]
    assert "X-ClickHouse-Query-Id" in post(service, "SELEC").headers


@pytest.mark.parametrize(
    "fmt",
    [
        "CSVWithNames",
        "TSVWithNamesAndTypes",
        "JSONCompactEachRowWithNamesAndTypes",
        "RowBinaryWithNamesAndTypes",
        "Native",
        "CSV",
        "JSONEachRow",
        "Parquet",
    ],
)
def test_a_streamed_answer_is_one_answer(service: Service, fmt: str) -> None:
    """The engine makes it in pieces, each with a header of its own."""
    sql = "SELECT number AS n, toString(n) AS `a ``b` FROM numbers(300000)"
    answer = post(service, f"{sql} FORMAT {fmt}").data
    assert answer == post(service, sql, f"default_format={fmt}").data
    if fmt == "CSVWithNames":
        assert answer == b'"n","a `b"\n' + b"".join(b'%d,"%d"\n' % (n, n) for n in range(300_000))
    empty = post(service, f"{sql.replace('300000', '0')} FORMAT {fmt}")
    assert empty.status == 200
    if fmt == "CSVWithNames":
        assert empty.data == b'"n","a `b"\n'


def test_headers_name_the_format_of_the_answer(service: Service) -> None:
    for sql, given in (
        ("SELECT 1 FORMAT JSON", ""),
        ("SELECT 1", "default_format=JSON"),
        ("SELECT 1 FORMAT JSON", "default_format=CSV"),
    ):
        headers = post(service, sql, given).headers
        assert headers["X-ClickHouse-Format"] == "JSON"
        assert headers["Content-Type"] == "application/json; charset=UTF-8"


def test_format_is_a_clause_only_where_it_is_one(service: Service) -> None:
    sql = "SELECT 'x\nFORMAT CSV' AS FORMAT, 1 AS b ORDER BY FORMAT"
    assert post(service, sql).data == b"x\\nFORMAT CSV\t1\n"
    assert post(service, f"{sql} FORMAT CSV").data == b'"x\nFORMAT CSV",1\n'
    assert post(service, "SELECT * FROM (SELECT 1 AS FORMAT) FORMAT CSV").data == b"1\n"
    twice = "SELECT number, number FROM numbers(1) FORMAT CSVWithNames"
    assert post(service, twice).data == b'"number","number"\n0,0\n'


def test_packed_answers(service: Service) -> None:
    asked = "SELECT step FROM points ORDER BY step"
    plain = post(service, asked, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers, "ClickHouse wants to be asked twice"
    for name, unpack in (("gzip", gzip.decompress), ("lz4", lz4.frame.decompress)):
        packed = post(service, asked, "enable_http_compression=1", Accept_Encoding=f"br, {name}")
        assert packed.headers["Content-Encoding"] == name
        assert unpack(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 1.2
    own = post(service, asked, "compress=1")
    assert (own.status, b"compress=0" in own.data) == (400, True)


def test_settings_shape_answers_and_lower_limits(service: Service) -> None:
    asked = post(
        service,
        "SELECT toUInt64(1) AS a, nan AS b FORMAT JSONEachRow",
        "output_format_json_quote_64bit_integers=1&output_format_json_quote_denormals=1"
        "&max_threads=8&send_progress_in_http_headers=1&session_id=x&wait_end_of_query=1",
    )
    assert json.loads(asked.data) == {"a": "1", "b": "nan"}
    for given, held in (("1000000", "60"), ("0", "60"), ("5", "5"), ("2.5", "2")):
        answer = post(
            service, "SELECT getSetting('max_execution_time')", f"max_execution_time={given}"
        )
        assert answer.data.decode().strip() == held
    assert post(service, "SELECT 1", "max_execution_time=soon").status == 400
    late = post(service, ENDLESS, "max_execution_time=1")
    assert late.headers["X-ClickHouse-Exception-Code"] == "159"


def test_an_answer_of_any_size_takes_little_memory(service: Service) -> None:
    process = psutil.Process(service.pid)
    before = most = process.memory_info().rss
    sql = "SELECT number, toString(number) FROM numbers(20000000) FORMAT RowBinaryWithNamesAndTypes"
    answer = urllib3.request(
        "POST", f"http://{service.sql}", body=sql, preload_content=False, timeout=60
    )
    size = 0
    for piece in answer.stream(1 << 20):
        size += len(piece)
        most = max(most, process.memory_info().rss)
    assert size > 300 << 20
    assert most - before < 150 << 20


def test_what_must_be_held_is_bounded(service: Service) -> None:
    answer = post(
        service, "SELECT repeat('x', 900 + number % 100) FROM numbers(1000000) FORMAT JSON"
    )
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "396")


def test_a_client_that_goes_away_ends_its_query(service: Service) -> None:
    running = (
        "SELECT countIf(query LIKE '%ignore(%' AND query NOT LIKE '%LIKE%') FROM system.processes"
    )
    host, port = service.sql.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (len(ENDLESS), ENDLESS.encode())
        )
        while post(service, running).data != b"1\n":
            time.sleep(0.01)
    while post(service, running).data != b"0\n":
        time.sleep(0.01)


def test_a_form_brings_no_tables(service: Service) -> None:
    for fields, status in (
        ({"query": "SELECT {a:String}", "param_a": "x"}, 200),
        ({"query": "SELECT 1", "t": ("t.csv", b"1")}, 400),
    ):
        answer = urllib3.request("POST", f"http://{service.sql}", fields=fields, timeout=60)
        assert answer.status == status, answer.data
    for text in ("--x\r\n", "--x\r\nnonsense\r\n\r\nSELECT 1\r\n--x--\r\n"):
        broken = post(service, text, Content_Type="multipart/form-data; boundary=x")
        assert broken.status == 400
        assert b"the form " in broken.data
