"""The HTTP and SQL ports of a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import grpc
import pytest
import urllib3
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from stepline_ingest.readiness import SERVICES
from stepline_ingest.store.params import unescaped
from tests.support.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("http") / "data") as running:
        yield running


def get(address: str, path: str = "/", **query: Any) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", f"http://{address}{path}", fields=query or None, timeout=60)


def post(
    address: str, body: str, headers: dict[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        "POST", f"http://{address}", body=body.encode(), headers=headers, timeout=60
    )


def test_health(service: Service) -> None:
    answer = get(service.http, "/health")
    assert answer.status == 200
    said = answer.json()
    assert said["ok"] is True
    assert said["store"] == "chdb"
    assert said["uptime"] >= 0
    assert said["version"]


def test_probes(service: Service) -> None:
    alive, ready = get(service.http, "/healthz"), get(service.http, "/readyz")
    assert (alive.status, ready.status) == (200, 200)
    assert alive.json()["phase"] == "serving"
    assert ready.json()["ok"] is True
    assert "error" not in ready.json()


def test_metrics(service: Service) -> None:
    get(service.sql, query="SELECT 1")
    answer = get(service.http, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.data.decode())
        for sample in family.samples
    }
    assert samples["stepline_ready",] == 1
    assert samples["stepline_query_seconds_count", "sql_http"] >= 1
    assert samples["process_resident_memory_bytes",] > 1 << 20
    assert samples["stepline_inflight_limit_bytes",] > 0


@pytest.mark.parametrize("name", SERVICES)
def test_grpc_health(service: Service, name: str) -> None:
    with grpc.insecure_channel(service.grpc) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service=name), timeout=60
        )
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_the_first_page_is_the_dashboard(service: Service) -> None:
    """Also for probes that do not say what they accept."""
    answer = get(service.http)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<title>Stepline</title>" in answer.data.decode()
    assert get(service.http, "/nothing").status == 404


def test_ping(service: Service) -> None:
    assert get(service.sql, "/ping").data == b"Ok.\n"
    assert get(service.sql).data == b"Ok.\n"


def test_queries_by_parameter_and_body(service: Service) -> None:
    assert get(service.sql, query="SELECT 1 + 1").data == b"2\n"
    assert post(service.sql, "SELECT 1 + 1").data == b"2\n"
    assert post(service.sql + "/?query=SELECT%201%20%2B", "1").data == b"2\n"
    assert get(service.sql, query="SELECT count() FROM points", database="other").data == b"0\n"


def test_formats(service: Service) -> None:
    sql = "SELECT 1 AS a, 'x' AS b"
    assert json.loads(get(service.sql, query=sql, default_format="JSONEachRow").data) == {
        "a": 1,
        "b": "x",
    }
    assert post(service.sql, sql, {"X-ClickHouse-Format": "CSV"}).data == b'1,"x"\n'
    assert post(service.sql, f"{sql} FORMAT JSONCompactEachRow").data == b'[1, "x"]\n'
    assert get(service.sql, query=sql, default_format="no/format").status == 400


@pytest.mark.parametrize("value", ["x", "it's", "a\tb\nc", "back\\slash", "ünï", "'; DROP TABLE x"])
def test_parameters_are_values(service: Service, value: str) -> None:
    # Clients send a parameter in the notation of a TabSeparated field.
    escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    answer = get(
        service.sql,
        query="SELECT {v:String} AS v, {n:UInt8} AS n",
        param_v=escaped,
        param_n="7",
        default_format="JSONEachRow",
    )
    assert json.loads(answer.data) == {"v": value, "n": 7}


def test_unescaped() -> None:
    assert unescaped(r"a\tb\\n\'c") == "a\tb\\n'c"


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE raw_points",
        "INSERT INTO raw_metrics (run, metric, name) VALUES (1, 1, 'x')",
        "CREATE TABLE t (a Int8) ENGINE = Memory",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT 1; SELECT 2",
        "SELECT 1 INTO OUTFILE '/tmp/stepline-out'",
    ],
)
def test_nothing_but_reading(service: Service, query: str) -> None:
    answer = post(service.sql, query)
    assert answer.status in (400, 403), answer.data
    assert int(answer.headers["X-ClickHouse-Exception-Code"]) > 0
    assert answer.data.startswith(b"Code: ")
    assert get(service.sql, query="SELECT count() FROM points").data == b"0\n"


def test_errors_look_like_clickhouse(service: Service) -> None:
    answer = get(service.sql, query="SELEC 1")
    assert answer.status == 400
    assert answer.headers["X-ClickHouse-Exception-Code"] == "62"
    assert answer.data.startswith(b"Code: 62. DB::Exception: ")
    assert get(service.sql, query="SELECT nothing").headers["X-ClickHouse-Exception-Code"] == "47"
    assert post(service.sql, "SELECT 1 -- " + "x" * (1 << 20)).status == 400


def test_a_clickhouse_client_can_read(service: Service) -> None:
    host, port = service.sql.rsplit(":", 1)
    client = clickhouse_connect.get_client(host=host, port=int(port))
    try:
        result = client.query("SELECT number AS n, toString(number) AS s FROM numbers(3)")
        assert result.result_rows == [(0, "0"), (1, "1"), (2, "2")]
        bound = client.query("SELECT {v:String}", parameters={"v": "a'b"})
        assert bound.result_rows == [("a'b",)]
    finally:
        client.close()
