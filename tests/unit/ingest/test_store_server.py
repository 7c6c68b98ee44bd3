"""Promise: the address of a server is read exactly, and a server that is not there is told
plainly."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepline_ingest.store import StoreError, open_store
from stepline_ingest.store.dsn import ServerAddress, parse_dsn


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("clickhouse://db", ServerAddress(host="db", port=8123)),
        (
            "clickhouse://me:p%40ss@db:99/metrics",
            ServerAddress(host="db", port=99, user="me", password="p@ss", database="metrics"),
        ),
        ("clickhouses://db", ServerAddress(host="db", port=8443, secure=True)),
        (
            "clickhouse://db/x?secure=1",
            ServerAddress(host="db", port=8443, secure=True, database="x"),
        ),
        ("clickhouse://[::1]:5", ServerAddress(host="::1", port=5)),
    ],
)
def test_addresses(text, address):
    assert parse_dsn(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "postgres://db",
        "db:8123",
        "clickhouse://",
        "clickhouse://db:port",
        "clickhouse://db:99999",
        "clickhouse://db/a-b",
        "clickhouse://db/x;y",
        "clickhouse://db?compress=1",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(StoreError, match=r"write clickhouse://|name of a database"):
        parse_dsn(text)


def test_a_password_is_not_shown():
    assert "secret" not in repr(parse_dsn("clickhouse://me:secret@db"))


def test_no_server(tmp_path: Path):
    with pytest.raises(StoreError, match=r"cannot reach ClickHouse at 127\.0\.0\.1:1\b") as caught:
        open_store("clickhouse://me:secret@127.0.0.1:1", tmp_path)
    assert caught.value.is_retryable
    assert "secret" not in str(caught.value)


def test_kinds(store):
    assert store.kind in ("chdb", "clickhouse")
