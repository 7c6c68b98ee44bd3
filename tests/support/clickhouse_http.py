"""A stand-in for a ClickHouse server: its HTTP interface over a chDB engine in a process of its
own.

Enough for clickhouse-connect: the query in the body or in `query`, parameters as `param_NAME`,
settings as query parameters, formats by FORMAT, `default_format` or X-ClickHouse-Format, inserts
with their data in the body, errors with X-ClickHouse-Exception-Code. Every request has a session of
its own. POST /_fault?mode=... makes the next INSERT or SELECT fail as networks do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web

FAULTS = (
    "drop_before",
    "drop_after_commit",
    "fail_after_commit",
    "break_answer",
    "orphan",
    "redirect",
)
"""drop: the connection ends without an answer. orphan: the same, while the INSERT still waits for
its data, which comes when /_fault?mode=release is asked for. fail: an answer that leaves the
outcome open. break: an error in the middle of the answer of the next SELECT. redirect: to the same
address again."""
_MEMORY = b"\r\n__exception__\r\nCode: 241. DB::Exception: Too much. (MEMORY_LIMIT_EXCEEDED)\n"

_TRANSPORT = frozenset(
    [
        "query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "role",
        "user",
        "password",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "enable_http_compression",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
    ]
)
_INSERT = re.compile(
    rb"\s*(INSERT\s+INTO\s+.*?)(\s+SETTINGS\s+.*?)?\s+FORMAT\s+(\w+)[ \n]?",
    re.IGNORECASE | re.DOTALL,
)
_CODE = re.compile(r"Code: (\d+)")
_STATUS = {60: 404, 81: 404, 497: 403, 516: 403, 202: 503}


class Double:
    """The handlers. Blocking calls at the engine run in threads."""

    def __init__(self, path: Path) -> None:
        import chdb

        self._chdb = chdb
        self._path = str(path)
        self._root = chdb.connect(self._path)
        self._threads = ThreadPoolExecutor(8)
        self._fault: str | None = None
        self._released = threading.Event()
        self._reading = False

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/ping", self._ping)
        app.router.add_post("/_fault", self._set_fault)
        app.router.add_route("*", "/", self._serve)
        return app

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _set_fault(self, request: web.Request) -> web.Response:
        if request.query["mode"] == "release":
            self._released.set()
            return web.Response()
        self._fault = request.query["mode"]
        assert self._fault in FAULTS
        return web.Response()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        query, body = await _form(request)
        statement, data = _split(query.get("query", "").encode(), body)
        fault = None
        if (data is None) == (self._fault == "break_answer"):
            fault, self._fault = self._fault, None
        if fault == "drop_before":
            return _drop(request)
        if fault == "redirect":
            return web.Response(status=307, headers={"Location": str(request.url)})
        if fault == "orphan":
            self._released.clear()
            self._threads.submit(self._run, query, statement, data, late=True)
            while not self._reading:
                await asyncio.sleep(0.01)
            return _drop(request)
        try:
            answer = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._run, query, statement, data
            )
        except (self._chdb.ChdbError, RuntimeError) as error:
            found = _CODE.search(str(error))
            code = int(found[1]) if found else 1002
            return _failure(_STATUS.get(code, 500), code, str(error))
        if fault == "drop_after_commit":
            return _drop(request)
        if fault == "fail_after_commit":
            return _failure(
                500,
                209,
                "Code: 209. DB::Exception: Timeout exceeded while writing. (SOCKET_TIMEOUT)",
            )
        if fault == "break_answer":
            answer = answer[: len(answer) // 2] + _MEMORY
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": "{}"}
        fmt = query.get("default_format")
        if fmt:
            headers["X-ClickHouse-Format"] = fmt
        return web.Response(body=answer, headers=headers)

    def _run(
        self, query: dict[str, str], statement: str, data: bytes | None, *, late: bool = False
    ) -> bytes:
        params = {k[6:]: v for k, v in query.items() if k.startswith("param_")}
        settings = {
            k: v for k, v in query.items() if k not in _TRANSPORT and not k.startswith("param_")
        }
        fmt = query.get("default_format") or "TSV"
        with self._session(query.get("database"), settings) as session:
            if data is None:
                return bytes(session.query(statement, fmt, params).bytes())
            with self._pipe(data) if late else _file(data) as path:
                session.query(statement.replace("{path}", path))
            return b""

    @contextmanager
    def _pipe(self, data: bytes) -> Iterator[str]:
        """A file whose data comes when it is released."""
        path = f"{self._path}.pipe"
        os.mkfifo(path)

        def feed() -> None:
            with open(path, "wb") as pipe:
                self._reading = True
                self._released.wait(60)
                with suppress(BrokenPipeError):
                    pipe.write(data)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield path
        finally:
            feeder.join()
            os.unlink(path)
            self._reading = False

    @contextmanager
    def _session(self, database: str | None, settings: dict[str, str]) -> Iterator[Any]:
        session = self._chdb.connect(self._path)
        try:
            if database:
                session.query(f"USE {database}")
            # readonly closes the session for further settings.
            for name in sorted(settings, key=lambda name: name == "readonly"):
                value = settings[name].replace("\\", "\\\\").replace("'", "\\'")
                session.query(f"SET {name} = '{value}'")
            yield session
        finally:
            session.close()


async def _form(request: web.Request) -> tuple[dict[str, str], bytes]:
    """The fields of a request, and its body. The driver sends long parameters as a form."""
    fields = dict(request.query)
    body = b""
    if request.content_type == "multipart/form-data":
        fields |= {name: str(value) for name, value in (await request.post()).items()}
    else:
        body = await request.read()
    if "X-ClickHouse-Format" in request.headers:
        fields.setdefault("default_format", request.headers["X-ClickHouse-Format"])
    return fields, body


def _split(url_query: bytes, body: bytes) -> tuple[str, bytes | None]:
    """The statement, and the data of an INSERT, for which the statement reads the file `{path}`."""
    text = url_query + b"\n" + body if url_query else body
    found = _INSERT.match(text)
    if found is None:
        return text.decode(), None
    head, settings, fmt = (part.decode() for part in (found[1], found[2] or b"", found[3]))
    return (
        f"{head} FROM INFILE '{{path}}' COMPRESSION 'none'{settings} FORMAT {fmt}",
        text[found.end() :],
    )


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    handle = os.memfd_create("insert")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _failure(status: int, code: int, message: str) -> web.Response:
    return web.Response(
        status=status, text=message, headers={"X-ClickHouse-Exception-Code": str(code)}
    )


async def _serve(path: Path) -> None:
    runner = web.AppRunner(Double(path).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    # Until the process that started this one goes away.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


@contextmanager
def clickhouse(path: Path) -> Iterator[int]:
    """A server over the directory PATH; its port."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    asyncio.run(_serve(parser.parse_args().path))
