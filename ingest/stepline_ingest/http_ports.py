"""The ports of a service that speak HTTP, each behind the same guards."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from stepline_ingest.access import Guard, Scope
from stepline_ingest.access.http_guard import guarded, refusal
from stepline_ingest.access.origin import same_origin
from stepline_ingest.config import ServeConfig
from stepline_ingest.http_port import HttpPort
from stepline_ingest.tls import Certificates


class HttpPorts:
    """Over TLS where there are certificates."""

    def __init__(
        self, config: ServeConfig, guard: Guard, certificates: Certificates | None
    ) -> None:
        self._config = config
        self._guard = guard
        self._certificates = certificates
        self._ports: list[HttpPort] = []

    async def listen(
        self,
        app: web.Application,
        scopes: Mapping[str, Scope | None],
        others: Scope | None,
        port: int,
        *,
        name: str,
    ) -> int:
        """Serves APP: pages of strangers are refused, then SCOPES says what a path needs, OTHERS
        what all the others need. Returns the port that it got; raises StartupError, which names the
        option --NAME-port."""
        config = self._config
        context = self._certificates.ssl_context() if self._certificates is not None else None
        app.middlewares.append(
            same_origin(
                config.own_names,
                open_paths=scopes.keys(),
                asks_for_keys=self._guard.asks,
                refuse=refusal,
            )
        )
        app.middlewares.append(guarded(self._guard, scopes, others))
        served = HttpPort(app, config.limits)
        self._ports.append(served)
        return await served.listen(config.host, port, name=name, ssl_context=context)

    async def close(self) -> None:
        for port in self._ports:
            await port.close()
