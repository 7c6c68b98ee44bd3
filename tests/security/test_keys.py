"""Promise: a key opens its project and nothing else, on every port, until it is revoked."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import stepline
from stepline_ingest.access.key import Scope
from stepline_ingest.access.policy import METHODS
from stepline_ingest.gen.stepline.v1 import (
    ingest_pb2,
    ingest_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)
from tests.security.conftest import Guarded, Refused, command, rows
from tests.support import connect_http
from tests.support.service import Service


class Caller:
    """All calls with one key."""

    def __init__(self, server: str, key: str | None) -> None:
        self._channel = grpc.insecure_channel(server)
        self._metadata = [("authorization", f"Bearer {key}")] if key else []
        self.runs = runs_pb2_grpc.RunsStub(self._channel)
        self.query = query_pb2_grpc.QueryStub(self._channel)
        self.ingest = ingest_pb2_grpc.IngestStub(self._channel)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *error: object) -> None:
        self._channel.close()

    def create(self, run_id: str, project: str, **more: object) -> int:
        request = runs_pb2.CreateRunRequest(
            run_id=run_id, project=project, writer=uuid.uuid4().bytes, **more
        )
        return int(self.runs.CreateRun(request, metadata=self._metadata).attempt)

    def calls(self, run_id: str) -> dict[str, grpc.RpcError | None]:
        """Every call that names a run, and what came of it."""
        writer = uuid.uuid4().bytes
        hello = ingest_pb2.Hello(
            writer=writer, run_id=run_id, attempt=1, rank=0, epoch=1, first_unacknowledged=1
        )
        finish = runs_pb2.FinishRunRequest(run_id=run_id, attempt=1, writer=writer)
        chart = query_pb2.ChartRequest(run_ids=[run_id], metrics=["loss"])
        history = query_pb2.HistoryRequest(run_id=run_id, metric="loss")
        return {
            "Push": self._try(self.ingest.Push, iter([ingest_pb2.PushRequest(hello=hello)])),
            "UpdateRun": self._try(self.runs.UpdateRun, runs_pb2.UpdateRunRequest(run_id=run_id)),
            "FinishRun": self._try(self.runs.FinishRun, finish),
            "GetRun": self._try(self.runs.GetRun, runs_pb2.GetRunRequest(run_id=run_id)),
            "ListMetrics": self._try(
                self.query.ListMetrics, query_pb2.ListMetricsRequest(run_id=run_id)
            ),
            "History": self._try(self.query.History, history),
            "Chart": self._try(self.query.Chart, chart),
            "Export": self._try(self.query.Export, query_pb2.ExportRequest(run_id=run_id)),
        }

    def _try(self, call: object, request: object) -> grpc.RpcError | None:
        try:
            reply = call(request, metadata=self._metadata)  # type: ignore[operator]
            if hasattr(reply, "__iter__"):
                list(reply)
        except grpc.RpcError as error:
            return error
        return None


WRITES = ("Push", "UpdateRun", "FinishRun")
READS = ("GetRun", "ListMetrics", "History", "Chart", "Export")


@pytest.fixture(scope="module")
def names() -> tuple[str, str]:
    """Two projects that no other test uses."""
    mark = uuid.uuid4().hex[:8]
    return f"ours-{mark}", f"theirs-{mark}"


def test_scopes_and_projects_on_every_call(guarded: Guarded, names: tuple[str, str]) -> None:
    ours, theirs = names
    our_run, their_run = f"{ours}-run", f"{theirs}-run"
    with Caller(guarded.grpc, guarded.key("ingest", theirs)) as other:
        assert other.create(their_run, theirs) == 1
    with Caller(guarded.grpc, guarded.key("ingest", ours)) as writer:
        assert writer.create(our_run, ours) == 1
        own = writer.calls(our_run)
        assert all(own[name] is None for name in WRITES), own
        for name in READS:
            assert own[name].code().name == "PERMISSION_DENIED"
        foreign, unknown = writer.calls(their_run), writer.calls("nobody-has-this")
        for name in WRITES:
            assert foreign[name].code() is unknown[name].code() is grpc.StatusCode.NOT_FOUND
            # In the same words: that the run exists is not told.
            words = foreign[name].details().replace(f" (there is {our_run})", "")
            assert words.replace(their_run, "ID") == unknown[name].details().replace(
                "nobody-has-this", "ID"
            )
    with Caller(guarded.grpc, guarded.key("read", ours)) as reader:
        own = reader.calls(our_run)
        for name in WRITES:
            assert own[name].code().name == "PERMISSION_DENIED"
        assert own["GetRun"] is None
        assert own["ListMetrics"] is None
        foreign = reader.calls(their_run)
        for name in READS:
            assert foreign[name].code() is grpc.StatusCode.NOT_FOUND
            assert theirs not in foreign[name].details().replace(their_run, "")
        near = reader.calls(their_run[:-1])["GetRun"]
        assert their_run not in near.details(), "a hint names no run of another project"
    for key in (None, "wrong", "stepline_" + "0" * 64):
        with Caller(guarded.grpc, key) as nobody:
            for error in nobody.calls(our_run).values():
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "STEPLINE_API_KEY" in error.details()


def test_the_project_comes_from_the_key(guarded: Guarded, names: tuple[str, str]) -> None:
    ours, theirs = names
    run_id = f"{theirs}-taken"
    with Caller(guarded.grpc, guarded.key("ingest", theirs)) as other:
        other.create(run_id, theirs)
    with Caller(guarded.grpc, guarded.key("ingest", ours)) as writer:
        for project in (theirs, "", "default"):
            with pytest.raises(grpc.RpcError) as caught:
                writer.create(f"{ours}-new", project)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert ours in caught.value.details()
        for resume in (runs_pb2.RESUME_ALLOW, runs_pb2.RESUME_AUTO, runs_pb2.RESUME_NEVER):
            with pytest.raises(grpc.RpcError) as caught:
                writer.create(run_id, ours, resume=resume)
            assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
            assert theirs not in caught.value.details().replace(run_id, "")
        with pytest.raises(grpc.RpcError) as caught:
            writer.create(run_id, ours, resume=runs_pb2.RESUME_MUST)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_lists_and_sql_show_one_project(guarded: Guarded, names: tuple[str, str]) -> None:
    ours, theirs = names
    for project in names:
        with Caller(guarded.grpc, guarded.key("ingest", project)) as writer:
            writer.create(f"{project}-listed", project)
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", ours)) as reader:
        assert {run.project for run in reader.runs()} == {ours}
        assert reader.runs(theirs) == []
        found = reader.sql("SELECT DISTINCT project FROM runs")
        assert [tuple(row) for row in found] == [(ours,)]
        with pytest.raises(stepline.errors.AccessDenied):
            reader.sql("SELECT * FROM stepline.raw_runs")
    with stepline.connect(guarded.grpc, api_key=guarded.admin) as admin:
        assert {run.project for run in admin.runs(limit=1000)} >= set(names)


# --- HTTP ---


def fetch(url: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{key}".encode()).decode()


def test_the_sql_port_asks_for_a_key(guarded: Guarded, names: tuple[str, str]) -> None:
    ours, _ = names
    with Caller(guarded.grpc, guarded.key("ingest", ours)) as writer:
        writer.create(f"{ours}-sql", ours)
    query = urllib.parse.quote("SELECT DISTINCT project FROM runs")
    url = f"http://{guarded.sql}/?query={query}"
    read = guarded.key("read", ours)
    for headers in (
        {"X-ClickHouse-Key": read, "X-ClickHouse-User": "x"},
        {"Authorization": f"Bearer {read}"},
        {"Authorization": basic(read)},
    ):
        assert fetch(url, **headers) == (200, f"{ours}\n")
    wrong = [{}, {"X-ClickHouse-Key": "x"}, {"Authorization": "Basic !"}, {"Authorization": "x"}]
    for headers in wrong:
        status, text = fetch(url, **headers)
        assert status == 401, text
        assert "Code: 516" in text
    # Not in the address: proxies write that to their logs.
    assert fetch(f"{url}&password={read}&user=x")[0] == 401
    assert fetch(url, Authorization=basic(guarded.key("ingest", ours)))[0] == 403
    assert fetch(f"http://{guarded.sql}/ping")[0] == 200


def test_probes_need_no_key_and_the_rest_of_the_http_port_does(guarded: Guarded) -> None:
    assert fetch(f"http://{guarded.http}/health")[0] == 200
    assert fetch(f"http://{guarded.http}/")[0] == 200
    assert fetch(f"http://{guarded.http}/anything")[0] == 404
    assert fetch(f"http://{guarded.http}/metrics")[0] == 401
    allowed = fetch(f"http://{guarded.http}/metrics", Authorization=f"Bearer {guarded.admin}")
    assert allowed[0] == 200


def test_the_gateway_gives_no_rights(guarded: Guarded) -> None:
    """Every method over HTTP, without a key, with an unknown one and with one of a wrong scope.
    Several at a time: so many refusals are told late."""
    read, ingest = guarded.key("read", "gateway"), guarded.key("ingest", "gateway")

    def check(name: str, key: str | None, code: str) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        answer = connect_http.call(guarded.http, name, **headers)
        assert "WWW-Authenticate" not in answer.headers, "a browser would ask by itself"
        if answer.status == 415:
            _, end = connect_http.stream(guarded.http, name, {}, **headers)
            assert end["error"]["code"] == code
        else:
            assert json.loads(answer.data)["code"] == code

    with ThreadPoolExecutor(16) as threads:
        checks = []
        for method, scope in METHODS.items():
            name = method.removeprefix("/stepline.v1.")
            if name.startswith("/grpc.") or name == "Ingest/Push":
                continue
            for key, code in (
                (None, "unauthenticated"),
                ("stepline_" + "0" * 64, "unauthenticated"),
                (ingest if scope is Scope.READ else read, "permission_denied"),
            ):
                checks.append(threads.submit(check, name, key, code))
        assert len(checks) >= 90
        for done in checks:
            done.result()


def test_a_key_sees_its_project_over_http(guarded: Guarded) -> None:
    mine, theirs = (f"web-{uuid.uuid4().hex[:8]}" for _ in range(2))
    for project in (mine, theirs):
        with Caller(guarded.grpc, guarded.key("ingest", project)) as writer:
            writer.create(f"{project}-run", project)
    bearer = {"Authorization": f"Bearer {guarded.key('read', mine)}"}
    listed = json.loads(connect_http.call(guarded.http, "Runs/ListRuns", **bearer).data)
    assert [run["runId"] for run in listed["runs"]] == [f"{mine}-run"]
    other = {"runId": f"{theirs}-run"}
    assert connect_http.call(guarded.http, "Runs/GetRun", other, **bearer).status == 404
    basic = base64.b64encode(f":{guarded.admin}".encode()).decode()
    by_password = connect_http.call(guarded.http, "Runs/ListRuns", Authorization=f"Basic {basic}")
    assert by_password.status == 401, "browsers send passwords along by themselves"


# --- the life of a key ---


def test_create_list_revoke(guarded: Guarded) -> None:
    project = f"life-{uuid.uuid4().hex[:8]}"
    options = ("--project", project, "--name", "ann", "--expires", "90d", "--json")
    made = json.loads(
        guarded.ask("key", "create", "--scope", "ingest", *options, api_key=guarded.admin)
    )
    secret = made.pop("key")
    assert secret.startswith("stepline_")
    listing = guarded.ask("key", "list", "--json", api_key=guarded.admin)
    assert secret not in listing
    assert made in rows(listing)
    assert made["state"] == "valid"
    with Caller(guarded.grpc, secret) as writer:
        writer.create(f"{project}-run", project)
        assert "revoked" in guarded.ask("key", "revoke", made["id"], api_key=guarded.admin)
        with pytest.raises(grpc.RpcError) as caught:
            writer.create(f"{project}-run2", project)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "revoked" in guarded.ask("key", "list", api_key=guarded.admin)
    for key in (secret, None, guarded.key("read", project), guarded.key("ingest", project)):
        with pytest.raises(Refused):
            guarded.ask("key", "list", api_key=key)


@pytest.mark.parametrize(
    "options",
    [
        ("--scope", "ingest"),
        ("--scope", "admin", "--project", "p"),
        ("--scope", "root"),
        ("--scope", "read", "--project", "p", "--expires", "soon"),
        ("--scope", "read", "--project", "p", "--expires", "0d"),
        ("--scope", "read", "--project", "x" * 2000),
        ("--scope", "read", "--project", "p", "--data", "/tmp", "--server", "127.0.0.1:1"),
    ],
)
def test_a_key_that_cannot_be_is_refused(guarded: Guarded, options: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as caught:
        guarded.ask("key", "create", *options, api_key=guarded.admin)
    assert "Traceback" not in str(caught.value)


def test_an_ingest_key_deletes_what_it_may_not_read(guarded: Guarded) -> None:
    project = f"gone-{uuid.uuid4().hex[:8]}"
    key = guarded.key("ingest", project)
    run = f"{project}-run"
    with Caller(guarded.grpc, key) as writer:
        writer.create(run, project)
    other = guarded.key("ingest", f"{project}-other")
    for asks in ((), ("--yes",)):
        with pytest.raises(Refused) as caught:
            guarded.ask("delete", run, *asks, api_key=other)
    assert "not known here" in str(caught.value)
    assert "is deleted" in guarded.ask("delete", run, "--yes", api_key=key)
    with stepline.connect(guarded.grpc, api_key=guarded.admin) as admin:
        assert run not in [found.id for found in admin.runs(project)]


def test_a_revoked_key_ends_the_stream_that_it_opened(guarded: Guarded) -> None:
    project = f"stream-{uuid.uuid4().hex[:8]}"
    secret = guarded.key("ingest", project)
    run = f"{project}-run"
    with Caller(guarded.grpc, secret) as writer:
        attempt = writer.create(run, project)
        hello = ingest_pb2.Hello(
            writer=uuid.uuid4().bytes, run_id=run, attempt=attempt, epoch=1, first_unacknowledged=1
        )

        ended = threading.Event()

        def requests() -> Iterator[ingest_pb2.PushRequest]:
            yield ingest_pb2.PushRequest(hello=hello)
            ended.wait(120)

        replies = writer.ingest.Push(requests(), metadata=[("authorization", f"Bearer {secret}")])
        assert next(replies).WhichOneof("kind") == "welcome"
        (key_id,) = (
            key["id"]
            for key in rows(guarded.ask("key", "list", "--json", api_key=guarded.admin))
            if key["project"] == project
        )
        guarded.ask("key", "revoke", key_id, api_key=guarded.admin)
        with pytest.raises(grpc.RpcError) as caught:
            next(replies)
        ended.set()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "revoked" in caught.value.details()


def test_the_first_key_of_an_open_service_closes_it(tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        with stepline.connect(service.grpc) as anyone:
            assert anyone.runs() == []
        admin = command("key", "create", "--scope", "admin", server=service.grpc).strip()
        with stepline.connect(service.grpc) as anyone, pytest.raises(stepline.errors.AccessDenied):
            anyone.runs()
        with stepline.connect(service.grpc, api_key=admin) as allowed:
            assert allowed.runs() == []
        with pytest.raises(Refused) as caught:
            command("key", "list", "--data", str(service.data))
        assert "--server" in str(caught.value)
    assert "admin" in command("key", "list", "--data", str(tmp_path / "data"))


def test_require_keys_closes_a_service_that_has_none(tmp_path: Path) -> None:
    with Service(tmp_path / "data", "--require-keys") as service:
        with stepline.connect(service.grpc) as anyone, pytest.raises(stepline.errors.AccessDenied):
            anyone.runs()
        with pytest.raises(Refused) as caught:
            command("key", "create", "--scope", "admin", server=service.grpc)
        assert "with --data while the service is stopped" in str(caught.value)
        with pytest.raises(Refused) as caught:
            command("key", "create", "--scope", "admin", "--data", str(service.data))
        assert "stop the service to make the first one" in str(caught.value)


@pytest.mark.parametrize("action", [("list",), ("revoke", "0" * 12)], ids=lambda action: action[0])
def test_who_only_looks_makes_no_store(tmp_path: Path, action: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="holds no store"):
        command("key", *action, "--data", str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_the_store_of_a_key_is_that_of_the_service(tmp_path: Path) -> None:
    """Guarantee: with STEPLINE_SERVE_STORE no key is made in an embedded store that nobody
    asks."""
    dsn = {"STEPLINE_SERVE_STORE": "clickhouse://u:p@127.0.0.1:1/x"}
    create = ("key", "create", "--scope", "admin", "--data", str(tmp_path / "data"))
    with pytest.raises(Refused) as caught:
        command(*create, extra=dsn)
    assert "127.0.0.1" in str(caught.value)
    assert not (tmp_path / "data" / "chdb").exists()
