"""Promise: what gRPC clients can ask can be asked over HTTP, in JSON and in protobuf, with the same
answers and the same errors; and no web page of strangers can."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
from collections.abc import Iterator

import pytest
import urllib3

import stepline
from stepline_ingest.access.policy import METHODS, PATHS
from stepline_ingest.gateway.methods import all_methods
from stepline_ingest.gen.stepline.v1 import query_pb2, runs_pb2
from tests.support.connect_http import call, envelope, get, opened, stream
from tests.support.service import Service

CHART = {"runIds": ["r1"], "metrics": ["loss"], "points": 10, "ranks": {"band": True}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("gateway") / "data") as running:
        run = stepline.init(
            project="p",
            server=running.grpc,
            dir=running.data.with_name("spools"),
            uploader="thread",
            run_id="r1",
            tags=["<b>", "ü"],
        )
        for step in range(1000):
            run.log({"loss": float(step) if step != 7 else float("nan")}, step=step)
        assert run.finish(timeout=60).complete
        yield running


def test_every_method_of_the_protocol_is_there() -> None:
    ours = {method for method in METHODS if method.startswith("/stepline.")}
    assert {method.path for method in all_methods()} == ours


def test_only_reading_may_be_a_get() -> None:
    """What GET may do, a link in a mail may do."""
    for method in all_methods():
        if method.only_reads:
            name = method.path.rpartition("/")[2]
            assert not name.startswith(("Create", "Update", "Delete", "Finish", "Revoke", "Set"))


def test_json_and_protobuf_say_the_same(service: Service) -> None:
    by_json = call(service.http, "Runs/GetRun", {"runId": "r1"})
    assert by_json.status == 200
    assert by_json.headers["Content-Type"] == "application/json"
    run = json.loads(by_json.data)["run"]
    assert (run["runId"], run["tags"]) == ("r1", ["<b>", "ü"])
    by_proto = call(
        service.http,
        "Runs/GetRun",
        body=runs_pb2.GetRunRequest(run_id="r1").SerializeToString(),
        content_type="application/proto",
    )
    assert by_proto.headers["Content-Type"] == "application/proto"
    reply = runs_pb2.GetRunReply.FromString(by_proto.data)
    assert (reply.run.run_id, list(reply.run.tags)) == ("r1", ["<b>", "ü"])


def test_names_of_fields_as_in_proto_are_taken_too(service: Service) -> None:
    assert call(service.http, "Runs/GetRun", {"run_id": "r1"}).status == 200


def test_a_stream(service: Service) -> None:
    lines, end = stream(service.http, "Query/Chart", CHART)
    assert end == {}
    (line,) = lines
    low = struct.unpack(f"<{line['rows']}d", base64.b64decode(line["min"]))
    assert low[0] == 0.0
    assert struct.unpack("<8Q", base64.b64decode(line["nonfinite"]))[0] == 1


def test_a_stream_in_protobuf(service: Service) -> None:
    request = query_pb2.HistoryRequest(run_id="r1", metric="loss").SerializeToString()
    answer = call(
        service.http,
        "Query/History",
        body=envelope(request),
        content_type="application/connect+proto",
    )
    assert answer.headers["Content-Type"] == "application/connect+proto"
    data, rows = answer.data, 0
    while data[0] != 2:
        (length,) = struct.unpack_from(">I", data, 1)
        rows += query_pb2.HistoryChunk.FromString(data[5 : 5 + length]).rows
        data = data[5 + length :]
    assert rows == 1000
    assert json.loads(data[5:]) == {}


def test_a_get_of_what_only_reads(service: Service) -> None:
    answer = get(service.http, "Query/ListMetrics", {"runId": "r1"})
    assert json.loads(answer.data)["metrics"][0]["name"] == "loss"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = get(service.http, "Query/ListMetrics", {"runId": "r1"}, If_None_Match=etag(answer))
    assert (again.status, again.data, etag(again)) == (304, b"", etag(answer))
    lines, end = opened(get(service.http, "Query/Chart", CHART).data)
    assert (len(lines), end) == (1, {})


def etag(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.headers["ETag"]


def test_a_get_changes_nothing(service: Service) -> None:
    answer = get(service.http, "Runs/DeleteRun", {"runId": "r1"})
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert call(service.http, "Runs/ListRuns", verb="PUT").headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("packing", ["gzip", "identity", None])
def test_packed_bodies(service: Service, packing: str | None) -> None:
    body = json.dumps({"runId": "r1"}).encode()
    headers = {"Content-Encoding": packing} if packing else {}
    if packing == "gzip":
        body = gzip.compress(body)
    answer = call(service.http, "Runs/GetRun", body=body, Accept_Encoding="br, gzip", **headers)
    assert answer.status == 200
    large = call(service.http, "Query/ListMetrics", {"runId": "r1"}, Accept_Encoding="gzip")
    assert "Content-Encoding" not in large.headers, "not worth it"


def test_an_answer_is_packed_for_who_asks(service: Service) -> None:
    answer = call(
        service.http,
        "Query/Chart",
        body=envelope(json.dumps({**CHART, "points": 500}).encode()),
        content_type="application/connect+json",
        Connect_Accept_Encoding="gzip",
    )
    assert answer.headers["Connect-Content-Encoding"] == "gzip"
    flags, length = struct.unpack_from(">BI", answer.data)
    assert flags == 1
    assert json.loads(gzip.decompress(answer.data[5 : 5 + length]))["runId"] == "r1"


@pytest.mark.parametrize(
    ("method", "message", "status", "code"),
    [
        ("Runs/GetRun", {"runId": "r2"}, 404, "not_found"),
        ("Runs/GetRun", {"runID": "r1"}, 400, "invalid_argument"),
        ("Runs/ListRuns", {"limit": -1}, 400, "invalid_argument"),
        ("Runs/ListRuns", [], 400, "invalid_argument"),
        ("Runs/Nothing", {}, 404, "unimplemented"),
        ("Nothing/Nothing", {}, 404, "unimplemented"),
        ("Ingest/Push", {}, 501, "unimplemented"),
    ],
)
def test_errors(service: Service, method: str, message: object, status: int, code: str) -> None:
    answer = call(service.http, method, message)
    assert answer.status == status, answer.data
    assert answer.headers["Content-Type"] == "application/json"
    error = json.loads(answer.data)
    assert error["code"] == code
    assert len(error["message"]) > 10


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({**CHART, "runIds": ["r2"]}, "not_found"),
        ({**CHART, "metrics": ["los"]}, "not_found"),
        ({**CHART, "start": 10, "stop": 5}, "invalid_argument"),
        ({**CHART, "points": 4_000_000_000}, "invalid_argument"),
        ({**CHART, "pointz": 4}, "invalid_argument"),
    ],
)
def test_errors_of_streams_are_their_last_envelope(
    service: Service, message: object, code: str
) -> None:
    lines, end = stream(service.http, "Query/Chart", message)
    assert lines == []
    assert end["error"]["code"] == code
    assert end["error"]["message"]


GARBAGE = [
    b"",
    b"{",
    b'{"runId": 1}',
    b'{"runId": "r1"}x',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"1" * 5_000,
    b"NaN",
    b"\x00" * 1000,
    b'{"runId": "' + b"x" * 1_000_000 + b'"}',
]


@pytest.mark.parametrize("body", GARBAGE, ids=lambda body: repr(body[:12]))
@pytest.mark.parametrize("kind", ["json", "proto", "connect+json", "connect+proto", "xml"])
def test_garbage(service: Service, kind: str, body: bytes) -> None:
    for method in ("Runs/GetRun", "Query/Chart"):
        answer = call(service.http, method, body=body, content_type=f"application/{kind}")
        assert answer.status in (200, 400, 404, 415), answer.data
        if answer.status == 200:
            messages, end = opened(answer.data)
            assert messages == []
            assert end["error"]["code"] in ("invalid_argument", "not_found")
        elif answer.status == 415:
            assert "application/" in answer.headers["Accept-Post"]


@pytest.mark.parametrize(
    "body",
    [
        envelope(b"{}") * 2,
        envelope(b"{}", 2),
        envelope(b"{}", 1),
        envelope(b"{}")[:-1],
        b"\0\xff\xff\xff\xff{}",
        envelope(b"{}") + b"x",
    ],
)
def test_broken_envelopes(service: Service, body: bytes) -> None:
    answer = call(service.http, "Query/Chart", body=body, content_type="application/connect+json")
    assert opened(answer.data)[1]["error"]["code"] == "invalid_argument"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Connect_Protocol_Version": "2"}, 400),
        ({"Connect_Timeout_Ms": "soon"}, 400),
        ({"Connect_Timeout_Ms": "12345678901"}, 400),
        ({"Connect_Timeout_Ms": "0"}, 504),
        ({"Connect_Timeout_Ms": "60000", "Connect_Protocol_Version": "1"}, 200),
        ({"Content_Encoding": "br"}, 501),
        ({"Content_Encoding": "gzip"}, 400),
        ({"X_A": "a" * 10_000}, 200),
        ({"X_A": "a" * 20_000}, 400),
    ],
)
def test_headers(service: Service, headers: dict[str, str], status: int) -> None:
    assert call(service.http, "Runs/ListRuns", **headers).status == status


@pytest.mark.parametrize(
    "query",
    [
        "",
        "encoding=json",
        "encoding=xml&message={}",
        "encoding=json&message={}&connect=v2",
        "encoding=json&base64=1&message=%25%25",
        "encoding=json&message={}&compression=br",
    ],
)
def test_broken_gets(service: Service, query: str) -> None:
    address = f"http://{service.http}/stepline.v1.Runs/ListRuns?{query}"
    answer = urllib3.request("GET", address, timeout=60)
    assert answer.status in (400, 501)
    assert json.loads(answer.data)["message"]


def test_a_long_get(service: Service) -> None:
    """The message of a page of charts: 1,000 names."""
    names = [f"a/metric/{number:06d}" for number in range(1000)]
    answer = get(service.http, "Query/Chart", {**CHART, "metrics": names})
    assert opened(answer.data)[1]["error"]["code"] == "not_found"
    assert get(service.http, "Runs/GetRun", {"runId": "x" * 100_000}).status == 400


def test_a_bomb_is_not_unpacked(service: Service) -> None:
    body = gzip.compress(bytes(200 << 20), 1)
    answer = call(service.http, "Runs/GetRun", body=body, Content_Encoding="gzip")
    assert answer.status == 429
    assert json.loads(answer.data)["code"] == "resource_exhausted"


# --- strangers ---


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "garbage"},
        {"Origin": "http://[bad"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:7425"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": "localhost.evil.example"},
    ],
)
def test_pages_of_strangers(service: Service, headers: dict[str, str]) -> None:
    for answer in (
        call(service.http, "Runs/DeleteRun", {"runId": "r1"}, **headers),
        get(service.http, "Runs/ListRuns", {}, **headers),
        call(service.sql + "/?query=SELECT+1#", "x", **headers),
    ):
        assert answer.status in (400, 403), answer.data
        assert b"r1" not in answer.data
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert call(service.http, "Runs/GetRun", {"runId": "r1"}).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:9", "box", "a.localhost."])
def test_harmless_names(service: Service, host: str) -> None:
    answer = call(service.http, "Runs/ListRuns", Host=host, Origin=f"http://{host}")
    assert answer.status == 200


def test_no_permission_is_given_to_other_origins(service: Service) -> None:
    answer = call(
        service.http,
        "Runs/ListRuns",
        verb="OPTIONS",
        Origin="http://evil.example",
        Access_Control_Request_Method="POST",
    )
    assert answer.status == 403
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_a_form_of_another_page_is_no_call(service: Service) -> None:
    """What a browser sends without asking first: three content types."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        body = b'{"runId": "r1"}'
        assert call(service.http, "Runs/DeleteRun", body=body, content_type=kind).status == 415


def test_probes_answer_whoever_asks(service: Service) -> None:
    for path in PATHS:
        answer = urllib3.request(
            "GET", f"http://{service.http}{path}", headers={"Host": "evil.example"}
        )
        assert answer.status == 200


def test_http_1_0_and_pipelining(service: Service) -> None:
    host, port = service.http.rsplit(":", 1)
    body = b"{}"
    request = b"POST /stepline.v1.Runs/ListRuns HTTP/1.%d\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        one = (request % 1) + b"Host: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        last = (request % 0) + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        sock.sendall(one * 5 + last)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.count(b" 200 OK\r\n") == 6
