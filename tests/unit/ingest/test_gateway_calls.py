"""Promise: the gateway passes calls on faithfully, ends them when nobody listens any more, and
holds a bounded amount for whoever sends or reads slowly. The gRPC server is a stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

from stepline_ingest.access import Guard, Key, KeyRing, Scope
from stepline_ingest.access.key import digest, new_secret
from stepline_ingest.errors import abort, later
from stepline_ingest.gateway import Gateway, codec
from stepline_ingest.gen.stepline.v1 import query_pb2, query_pb2_grpc
from stepline_ingest.http_port import HttpPort
from stepline_ingest.limits import Limits
from stepline_ingest.page import Page
from tests.support.connect_http import envelope, opened

LIMITS = Limits(http_patience=0.2, http_stall=0.2, max_http_calls=2, max_http_body_bytes=1 << 20)
JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": "application/connect+json"}
METRICS, CHART, SQL = (f"/stepline.v1.Query/{name}" for name in ("ListMetrics", "Chart", "Sql"))


class Servicer(query_pb2_grpc.QueryServicer):
    """Does what a test tells it."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.sent = 0
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.unary: Callable[[Any], Awaitable[None]] | None = None

    async def ListMetrics(self, request: Any, context: Any) -> query_pb2.ListMetricsReply:
        self.seen = dict(context.invocation_metadata())
        self.entered.set()
        try:
            if self.unary is not None:
                await self.unary(context)
            return query_pb2.ListMetricsReply(total=7)
        finally:
            self.ended.set()

    async def Chart(self, request: Any, context: Any) -> AsyncIterator[query_pb2.ChartLine]:
        await context.send_initial_metadata((("etag", '"v1"'),))
        yield query_pb2.ChartLine(run_id="r")
        if request.points == 13:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough", (("x-why", "13"),))

    async def Sql(self, request: Any, context: Any) -> AsyncIterator[query_pb2.SqlChunk]:
        self.entered.set()
        try:
            while True:
                yield query_pb2.SqlChunk(data=bytes(1 << 20))
                self.sent += 1
                if request.query == "slowly":
                    await asyncio.sleep(0.01)
        finally:
            self.ended.set()


class Keys:
    """A table with an ingest and a read key of two projects, and a guard that asks for them."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self.read, self.other = self._add(Scope.READ, "p"), self._add(Scope.READ, "other")
        self.ingest = self._add(Scope.INGEST, "p")

    def load(self) -> list[Key]:
        return self._keys

    def guard(self, executor: ThreadPoolExecutor) -> Guard:
        ring = KeyRing(self, executor, max_age=60.0, min_age=60.0, patience=60.0)
        return Guard(ring, required=True)

    def _add(self, scope: Scope, project: str) -> str:
        secret = new_secret()
        self._keys.append(
            Key(digest=digest(secret), scope=scope, project=project, name="", created_ms=1)
        )
        return f"Bearer {secret}"


class Open(Guard):
    """Lets everybody in."""

    def __init__(self) -> None:
        super().__init__(required=False)

    async def admit(self, secret: str | None, scope: Scope | None) -> None: ...


class Stage:
    """A gateway before the stand-in, and a client."""

    def __init__(self, address: str, servicer: Servicer, client: aiohttp.ClientSession) -> None:
        self.address = address
        self.servicer = servicer
        self._client = client

    def post(self, path: str, data: Any = b"{}", **headers: str) -> Any:
        kind = JSON if path == METRICS else STREAM
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is STREAM:
            data = envelope(data)
        if isinstance(data, bytes):
            data = io.BytesIO(data)
        return self._client.post(self.address + path, data=data, headers={**kind, **named})

    def get(self, path: str, message: str = "{}", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        query = {"encoding": "json", "message": message}
        return self._client.get(self.address + path, params=query, headers=named)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, Open()) as found:
        yield found


@contextlib.asynccontextmanager
async def staged(tmp_path: Path, guard: Guard, limits: Limits = LIMITS) -> AsyncIterator[Stage]:
    servicer, server, gateway = Servicer(), grpc.aio.server(), Gateway(limits, guard)
    query_pb2_grpc.add_QueryServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(f"unix:{tmp_path}/s")
    assert port
    await server.start()
    app = web.Application()
    gateway.add_routes(app)
    served = HttpPort(app, limits)
    address = f"http://127.0.0.1:{await served.listen('127.0.0.1', 0, name='http')}"
    async with aiohttp.ClientSession() as client:
        async with client.post(address + METRICS, data=b"{}", headers=JSON) as early:
            assert early.status == 503, "the service has not started"
            assert int(early.headers["Retry-After"]) >= 1
        gateway.use(f"unix:{tmp_path}/s")
        yield Stage(address, servicer, client)
    await served.close()
    await server.stop(None)
    await gateway.close()


async def test_what_is_passed_on(stage: Stage) -> None:
    headers = {"Authorization": "Bearer k", "Cookie": "c=1", "X_Other": "y"}
    async with stage.post(METRICS, If_None_Match='"a"', **headers) as answer:
        assert await answer.json() == {"total": "7"}
    seen = stage.servicer.seen
    assert (seen["authorization"], seen["if-none-match"]) == ("Bearer k", '"a"')
    assert not {"cookie", "x-other"} & seen.keys()


@pytest.mark.parametrize(
    "header",
    [
        b"Authorization: Bearer \xc3\xa9",
        b"Authorization: Bearer a\tb",
        b'If-None-Match: "\xc3\xa9"',
    ],
)
async def test_what_grpc_does_not_take_is_not_passed_on(stage: Stage, header: bytes) -> None:
    host, port = stage.address.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n%s\r\n\r\n{}" % (METRICS.encode(), header)
    )
    assert (await reader.readline()).split()[1] == b"200"
    assert not {"authorization", "if-none-match"} & stage.servicer.seen.keys()
    writer.close()


async def test_later_says_when(stage: Stage) -> None:
    async def refuse(context: Any) -> None:
        await abort(context, later("full", after=3))

    stage.servicer.unary = refuse
    async with stage.post(METRICS) as answer:
        assert answer.status == 503
        error = await answer.json()
    assert (error["code"], error["message"]) == ("unavailable", "full")
    assert [detail["type"] for detail in error["details"]] == ["google.rpc.RetryInfo"]


async def test_metadata_becomes_headers(stage: Stage) -> None:
    async def tell(context: Any) -> None:
        await context.send_initial_metadata((("x-a", "1"), ("b-bin", b"\xff"), ("date", "x")))
        context.set_trailing_metadata((("x-t", "2"),))

    stage.servicer.unary = tell
    async with stage.post(METRICS) as answer:
        assert (answer.headers["x-a"], answer.headers["b-bin"]) == ("1", "/w")
        assert answer.headers["Trailer-x-t"] == "2"
        assert answer.headers["Date"] != "x"


@pytest.mark.parametrize("verb", ["get", "post"])
async def test_a_chart_that_is_known_is_not_sent_again(stage: Stage, verb: str) -> None:
    ask = getattr(stage, verb)
    async with ask(CHART) as answer:
        assert answer.headers["ETag"] == '"v1"'
        assert opened(await answer.read()) == ([{"runId": "r"}], {})
    for known in ('"v1"', 'W/"v1"', '"v0", "v1"', "*"):
        async with ask(CHART, If_None_Match=known) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
    async with ask(CHART, If_None_Match='"v2"') as answer:
        assert answer.status == 200


async def test_an_error_in_mid_stream(stage: Stage) -> None:
    async with stage.post(CHART, b'{"points": 13}') as answer:
        lines, end = opened(await answer.read())
    assert lines == [{"runId": "r"}]
    assert end == {
        "error": {"code": "resource_exhausted", "message": "enough"},
        "metadata": {"x-why": ["13"]},
    }


async def test_no_cache_keeps_a_part(stage: Stage) -> None:
    async with stage.get(CHART, '{"points": 13}') as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_deadline_is_the_deadline_of_the_call(stage: Stage) -> None:
    async def forever(context: Any) -> None:
        await asyncio.Event().wait()

    stage.servicer.unary = forever
    async with stage.post(METRICS, Connect_Timeout_Ms="50") as answer:
        assert (answer.status, (await answer.json())["code"]) == (504, "deadline_exceeded")
    await stage.servicer.ended.wait()


@pytest.mark.parametrize("path", [METRICS, SQL])
async def test_a_browser_that_goes_away_ends_its_call(stage: Stage, path: str) -> None:
    async def forever(context: Any) -> None:
        await asyncio.Event().wait()

    stage.servicer.unary = forever
    body = b'{"query": "slowly"}' if path == SQL else b"{}"
    asking = asyncio.create_task(stage.post(path, body).__aenter__())
    await stage.servicer.entered.wait()
    if asking.done():
        (await asking).close()
    asking.cancel()
    await asyncio.wait_for(stage.servicer.ended.wait(), 60)


async def test_a_reader_that_takes_nothing_is_cut_and_holds_little(stage: Stage) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 10)
    body = envelope(b"{}")
    writer.write(
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (SQL.encode(), len(body), body)
    )
    await asyncio.wait_for(stage.servicer.ended.wait(), 60)
    assert stage.servicer.sent < 64, "MiB that were made for nobody"
    writer.close()
    del reader


async def test_a_body_that_never_ends(stage: Stage) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    async with stage.post(METRICS, drip()) as answer:
        assert (answer.status, (await answer.json())["code"]) == (504, "deadline_exceeded")


async def test_bodies_share_their_room(stage: Stage) -> None:
    arrived = asyncio.Event()

    async def large() -> AsyncIterator[bytes]:
        yield b" " * 700_000
        arrived.set()
        await asyncio.sleep(30)

    held = asyncio.create_task(stage.post(METRICS, large()).__aenter__())
    await arrived.wait()
    await asyncio.sleep(0)
    async with stage.post(METRICS, b" " * 700_000) as answer:
        assert answer.status in (400, 503)  # 400 when the other one was cut already
    (await held).close()
    async with stage.post(METRICS, b" " * 700_000 + b"{}") as answer:
        assert answer.status == 200, "the room is free again"


async def test_calls_at_a_time(stage: Stage) -> None:
    go, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(context: Any) -> None:
        waiting.release()
        await go.wait()

    stage.servicer.unary = wait
    held = [asyncio.create_task(stage.post(METRICS).__aenter__()) for _ in range(2)]
    for _ in held:
        await waiting.acquire()
    async with stage.post(METRICS) as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
    go.set()
    for answer in await asyncio.gather(*held):
        assert answer.status == 200
        answer.close()


async def test_connections_at_a_time() -> None:
    served = HttpPort(web.Application(), replace(LIMITS, max_http_connections=3))
    port = await served.listen("127.0.0.1", 0, name="http")
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for _, writer in held:
        writer.write(b"GET / HTTP/1.1\r\n")
        await writer.drain()
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    for _, writer in held:
        writer.close()
    await served.close()


# --- who pays for what ---


@pytest.mark.parametrize("key", ["", "Bearer stepline_0", "Basic eDp5", "ingest"])
@pytest.mark.parametrize("path", [METRICS, CHART])
async def test_the_body_of_who_may_not_call_is_not_read(
    tmp_path: Path, key: str, path: str
) -> None:
    """It never comes, and the answer does not wait for it."""
    keys = Keys()
    with ThreadPoolExecutor(1) as executor:
        async with staged(tmp_path, keys.guard(executor)) as stage:
            host, port = stage.address.removeprefix("http://").rsplit(":", 1)
            reader, writer = await asyncio.open_connection(host, int(port))
            kind = JSON if path == METRICS else STREAM
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind['Content-Type']}\r\n"
                f"Authorization: {keys.ingest if key == 'ingest' else key}\r\n"
                "Content-Length: 1000000\r\n\r\n".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            (length,) = re.findall(r"Content-Length: (\d+)", head)
            answer = await reader.readexactly(int(length))
            writer.close()
    error = opened(answer)[1]["error"] if path == CHART else json.loads(answer)
    assert error["code"] == ("permission_denied" if key == "ingest" else "unauthenticated")
    assert not stage.servicer.seen


@pytest.mark.parametrize(
    ("path", "limit"), [(METRICS, 2 << 20), (SQL, 2 << 20), (CHART, LIMITS.max_json_bytes)]
)
async def test_a_message_in_json_has_the_limit_of_its_call(
    tmp_path: Path, path: str, limit: int
) -> None:
    limits = replace(LIMITS, max_http_body_bytes=64 << 20, http_patience=30.0)
    async with staged(tmp_path, Open(), limits) as stage:
        for size, code in ((limit, "invalid_argument"), (limit + 6, "resource_exhausted")):
            async with stage.post(path, b" " * size) as answer:
                error = await answer.json() if path == METRICS else opened(await answer.read())[1]
            error = error.get("error", error)
            assert error["code"] == code, error
        assert f"takes {limit:,}: send less at a time" in error["message"]


async def test_conversions_of_a_project_keep_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of one project last, and in which direction."""
    keys, go, entered = Keys(), threading.Event(), asyncio.Semaphore(0)
    loop, made = asyncio.get_running_loop(), codec.to_bytes

    def last(kind: Any, payload: bytes) -> bytes:
        if b"slow" in payload:
            loop.call_soon_threadsafe(entered.release)
            assert go.wait(60)
        return made(kind, payload)

    monkeypatch.setattr(codec, "to_bytes", last)
    limits = replace(LIMITS, max_http_calls=20, max_http_body_bytes=64 << 20)
    large = json.dumps({"prefix": "x" * 100_000}).encode()
    slow = json.dumps({"prefix": "slow" * 25_000}).encode()
    with ThreadPoolExecutor(1) as executor:
        async with staged(tmp_path, keys.guard(executor), limits) as stage:
            held = [
                asyncio.create_task(stage.post(METRICS, slow, Authorization=keys.read).__aenter__())
                for _ in range(10)
            ]
            try:
                await entered.acquire()
                async with stage.post(METRICS, large, Authorization=keys.other) as answer:
                    assert answer.status == 200
            finally:
                go.set()
            for answer in await asyncio.gather(*held):
                assert answer.status == 200
                answer.close()


# --- the files of the page ---


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>Stepline</title>" + " " * 500)
    (static / "assets" / "app-1a2b.js").write_text("1;" * 500)
    (tmp_path / "secret.txt").write_text("secret")
    app = web.Application()
    app.router.add_get("/{path:.*}", Page(static).answer)
    served = HttpPort(app, LIMITS)
    address = f"http://127.0.0.1:{await served.listen('127.0.0.1', 0, name='http')}"
    async with aiohttp.ClientSession(auto_decompress=False) as client:

        async def get(path: str, accept: str = "text/html", **headers: str) -> Any:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            url = aiohttp.client.URL(address + path, encoded=True)
            headers = {"Accept": accept, "Accept-Encoding": "identity", **named}
            return await client.get(url, headers=headers)

        yield get
    await served.close()


async def test_files_of_the_page(page: Callable[..., Any]) -> None:
    script = await page("/assets/app-1a2b.js", "*/*", Accept_Encoding="gzip")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Encoding"] == "gzip"
    for path in ("/", "/p/gpt/runs", "/r/%2e%2e/x", "/index.html"):
        index = await page(path)
        assert (await index.text()).startswith("<!doctype html>")
        assert index.headers["Cache-Control"] == "no-cache"
        again = await page(path, If_None_Match=index.headers["ETag"])
        assert again.status == 304


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/assets/none.js", "/x"],
)
async def test_what_is_no_file_is_not_found(page: Callable[..., Any], path: str) -> None:
    answer = await page(path, "*/*")
    assert answer.status == 404
    assert "secret" not in await answer.text()
