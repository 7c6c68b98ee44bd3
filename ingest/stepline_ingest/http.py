"""The HTTP port: the dashboard, the calls of proto/ for browsers and scripts (see gateway/), and
/healthz, /readyz, /metrics for machines."""

from __future__ import annotations

import base64
import hashlib
import html
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from stepline_ingest.gateway import Gateway
from stepline_ingest.metrics import metrics
from stepline_ingest.page import CONTENT_SECURITY_POLICY, Page, add_headers
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
        gateway: Gateway,
    ) -> None:
        self._store_kind = store_kind
        self._addresses = addresses
        self._readiness = readiness
        self._gateway = gateway
        self._page = Page()
        self._started = time.monotonic()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/health", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._gateway.add_routes(app)
        if not self._page.is_built:
            app.router.add_get("/", self._addresses_page)
        app.router.add_get("/{path:.*}", self._page.answer)
        app.on_response_prepare.append(add_headers)
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

    async def _addresses_page(self, request: web.Request) -> web.Response:
        addresses = self._addresses()
        rows = "\n".join(
            _ROW.format(name=name, address=html.escape(addresses[name]), use=use)
            for name, use in _USES.items()
            if name in addresses
        )
        page = _PAGE.format(
            style=_STYLE,
            version=html.escape(service_version()),
            store=html.escape(self._store_kind),
            rows=rows,
            server=html.escape(addresses.get("grpc", "")),
            sql=html.escape(addresses.get("sql", "")),
        )
        return web.Response(
            text=page,
            content_type="text/html",
            headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"},
        )


_USES = {
    "grpc": "clients: <code>stepline.init(server=...)</code>, <code>stepline.connect(...)</code>",
    "http": "the same calls for browsers and scripts, <a href='/healthz'>/healthz</a>, "
    "<a href='/readyz'>/readyz</a>, <a href='/metrics'>/metrics</a>",
    "sql": "ClickHouse's HTTP interface, read-only",
}

_ROW = "<tr><th>{name}</th><td><code>{address}</code></td><td>{use}</td></tr>"

_STYLE = """body{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem}
th{text-align:left;padding-right:1rem}td{padding-right:1rem}
pre{background:#f3f3f3;padding:.7rem;overflow:auto}"""

_PAGE_POLICY = CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'",
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Stepline</title>
<style>{style}</style></head><body>
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
<p>The dashboard is not built into this installation: <code>make dashboard</code> does it in a
checkout.</p>
<p>More in the docs folder of the source: protocol, format, guarantees, operations.</p>
</body></html>
"""
