"""The HTTP port for people, probes and Prometheus: /, /healthz, /readyz, /metrics. The dashboard
will live here."""

from __future__ import annotations

import html
import ssl
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from stepline_ingest.errors import StartupError
from stepline_ingest.metrics import metrics
from stepline_ingest.readiness import Readiness


def service_version() -> str:
    try:
        return version("stepline-ingest")
    except PackageNotFoundError:
        return "unknown"


class Pages:
    """What the port answers."""

    def __init__(
        self,
        *,
        store_kind: str,
        addresses: Callable[[], dict[str, str]],
        readiness: Readiness,
    ) -> None:
        self._store_kind = store_kind
        self._addresses = addresses
        self._readiness = readiness
        self._started = time.monotonic()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/health", self._ready)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _alive(self, request: web.Request) -> web.Response:
        """200 as long as the event loop turns. Whoever gets no answer should start the service
        anew."""
        return web.json_response(self._state())

    async def _ready(self, request: web.Request) -> web.Response:
        """200 while points can be stored, 503 with the reason while they cannot."""
        reason = self._readiness.reason()
        answer = {"ok": reason is None, **self._state()}
        if reason is not None:
            answer["error"] = reason
        return web.json_response(answer, status=200 if reason is None else 503)

    def _state(self) -> dict[str, object]:
        return {
            "phase": self._readiness.phase.value,
            "version": service_version(),
            "uptime": round(time.monotonic() - self._started, 3),
            "store": self._store_kind,
        }

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), headers={"Content-Type": metrics.content_type})

    async def _index(self, request: web.Request) -> web.Response:
        addresses = self._addresses()
        rows = "\n".join(
            _ROW.format(name=name, address=html.escape(addresses[name]), use=use)
            for name, use in _USES.items()
            if name in addresses
        )
        page = _PAGE.format(
            version=html.escape(service_version()),
            store=html.escape(self._store_kind),
            rows=rows,
            server=html.escape(addresses.get("grpc", "")),
            sql=html.escape(addresses.get("sql", "")),
        )
        return web.Response(text=page, content_type="text/html")


async def listen(
    app: web.Application,
    host: str,
    port: int,
    *,
    name: str,
    ssl_context: ssl.SSLContext | None = None,
) -> tuple[web.AppRunner, int]:
    """Serves APP, over TLS where there is a context; returns its runner and the port that it
    got."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=False, ssl_context=ssl_context).start()
    except OSError as error:
        await runner.cleanup()
        raise StartupError(
            f"cannot listen on {host}:{port} ({error.strerror or error}): "
            f"end what uses the port, or pass --{name}-port with another one (0 for any free one)"
        ) from error
    return runner, int(runner.addresses[0][1])


_USES = {
    "grpc": "clients: <code>stepline.init(server=...)</code>, <code>stepline.connect(...)</code>",
    "http": "this page, <a href='/healthz'>/healthz</a>, <a href='/readyz'>/readyz</a>, "
    "<a href='/metrics'>/metrics</a>",
    "sql": "ClickHouse's HTTP interface, read-only",
}

_ROW = "<tr><th>{name}</th><td><code>{address}</code></td><td>{use}</td></tr>"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Stepline</title>
<style>body{{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem}}
th{{text-align:left;padding-right:1rem}}td{{padding-right:1rem}}
pre{{background:#f3f3f3;padding:.7rem;overflow:auto}}
</style></head><body>
<h1>Stepline {version}</h1>
<p>This service receives the metrics of training runs and answers questions about them.
Store: {store}.</p>
<table>{rows}</table>
<h2>Try it</h2>
<pre>run = stepline.init(project="hello", server="{server}")
run.log({{"loss": 0.5}})
run.finish()</pre>
<pre>stepline runs --server {server}
curl 'http://{sql}/?query=SELECT+count()+FROM+points'</pre>
<p>More in the docs folder of the source: protocol, format, guarantees, operations.</p>
</body></html>
"""
