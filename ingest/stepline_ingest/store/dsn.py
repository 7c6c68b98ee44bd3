"""The address of a ClickHouse server: clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, with
?cluster=NAME for a replicated one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from .errors import StoreError

_FORM = "clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"
_SCHEMES = {"clickhouse": False, "clickhouses": True}
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_CLUSTER = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
DEFAULT_DATABASE = "stepline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where the server is and who asks."""

    host: str
    port: int
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = DEFAULT_DATABASE
    secure: bool = False
    cluster: str | None = None
    """The tables are made on all of its replicas, as ReplicatedMergeTree."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_dsn(text: str) -> ServerAddress:
    """The scheme clickhouses, or ?secure=1, means TLS. The port is that of the HTTP interface:
    8123, or 8443 with TLS."""
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise StoreError(f"the store names no ClickHouse server: write {_FORM}")
    options = parse_qs(parts.query)
    secure = _SCHEMES[parts.scheme] or options.pop("secure", ["0"])[-1] in ("1", "true")
    cluster = options.pop("cluster", [None])[-1]
    if cluster is not None and not _CLUSTER.fullmatch(cluster):
        raise StoreError(
            f"{cluster!r} is no name of a cluster: use the name that remote_servers gives it"
        )
    if options:
        raise StoreError(
            f"the store has unknown options {', '.join(options)}: write {_FORM}?secure=1 "
            "or ?cluster=NAME"
        )
    database = parts.path.strip("/") or DEFAULT_DATABASE
    if not _DATABASE.fullmatch(database):
        raise StoreError(f"{database!r} is no name of a database: use letters, digits and '_'")
    try:
        port = parts.port
    except ValueError:
        raise StoreError(f"the store has no valid port: write {_FORM}") from None
    return ServerAddress(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database,
        secure=secure,
        cluster=cluster,
    )
