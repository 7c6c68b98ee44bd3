"""ClickHouse servers for tests: a stand-in over chDB, and a real one where there is one."""

from __future__ import annotations

import os
import uuid
from urllib.parse import urlsplit, urlunsplit

REAL = os.environ.get("STEPLINE_TEST_CLICKHOUSE") or None
"""clickhouse://USER:PASSWORD@HOST:PORT of a server on which databases test_* may be made and
dropped. Everything that speaks to a store is then tested on it too."""

BACKENDS = ("embedded", "server", *(("clickhouse",) if REAL else ()))
"""Names of fixtures."""


def own_database(dsn: str) -> str:
    """DSN with a database of its own."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/test_{uuid.uuid4().hex}"))


def database_of(dsn: str) -> str:
    return urlsplit(dsn).path.strip("/")
