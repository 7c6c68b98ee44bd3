"""Stores with empty tables: the embedded one, and a server that is a stand-in over another chDB
process.

A process holds one embedded engine at a time, so a test closes its store before the next one opens
another.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepline_ingest.store import Store, open_store
from tests.support.clickhouse_http import clickhouse


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    store = open_store(None, tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def server(clickhouse_url: str, tmp_path: Path) -> Iterator[Store]:
    database = f"test_{uuid.uuid4().hex}"
    store = open_store(f"clickhouse://default@{clickhouse_url}/{database}", tmp_path)
    yield store
    store.command(f"DROP DATABASE {database}")
    store.close()


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each test that takes it runs on both."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=["embedded", "server"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """The same for all tests of a module that leave it as it is."""
    directory = tmp_path_factory.mktemp("shared")
    if request.param == "embedded":
        found = open_store(None, directory)
    else:
        url = request.getfixturevalue("clickhouse_url")
        found = open_store(f"clickhouse://default@{url}/test_{uuid.uuid4().hex}", directory)
    yield found
    found.close()


@pytest.fixture
def fault(clickhouse_url: str) -> Callable[[str], None]:
    """Makes the next INSERT or SELECT at the server fail; see tests/support/clickhouse_http.py."""
    import urllib3

    def make(mode: str) -> None:
        answer = urllib3.request("POST", f"http://{clickhouse_url}/_fault?mode={mode}")
        assert answer.status == 200

    return make
