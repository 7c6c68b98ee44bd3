"""Telling the service that a run starts, before the first point is logged."""

from __future__ import annotations

from dataclasses import asdict

from . import _core
from .errors import from_core
from .jsonable import dumps
from .meta import SpoolMeta

TIMEOUT = 5.0
"""Seconds; a service that takes longer counts as unreachable, and training starts without it."""

_NOT_SENT = frozenset(
    {"server", "api_key", "attempt", "mode", "child", "tls_ca", "tls_cert", "tls_key"}
    | {"local_rank", "system_ms", "system_cores"}
)


def register(meta: SpoolMeta) -> tuple[str, int]:
    """The run that this start belongs to, and the number of the attempt that it is.

    Raises ServerUnreachable, or what the service has against it: RunExists, RunIsLive,
    RunNotFound, InvalidRequest, AccessDenied.
    """
    request = {name: value for name, value in asdict(meta).items() if name not in _NOT_SENT}
    try:
        connection = _core.Connection(
            meta.server,
            api_key=meta.api_key,
            tls_ca=meta.tls_ca,
            tls_cert=meta.tls_cert,
            tls_key=meta.tls_key,
            timeout=TIMEOUT,
        )
        try:
            attempt, run = connection.create_run(dumps(request))
        finally:
            connection.close()
    except _core.CoreError as error:
        raise from_core(error, server=meta.server) from None
    return run["run_id"] or meta.run_id, attempt
