"""Stores with empty tables: the embedded one, a server that is a stand-in over another chDB
process, and the server that STEPLINE_TEST_CLICKHOUSE names.

A process holds one embedded engine at a time, so a test closes its store before the next one opens
another.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from stepline_ingest.store import Store, open_store
from tests.support.clickhouse_http import clickhouse as stand_in
from tests.support.push_streams import Start, services
from tests.support.servers import BACKENDS, REAL, database_of, own_database


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stand_in(tmp_path_factory.mktemp("clickhouse")) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a store that nobody has written to: making one takes three times as long as
    opening a copy."""
    directory = tmp_path_factory.mktemp("empty") / "data"
    open_store(None, directory).close()
    return directory


@pytest.fixture
def embedded(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    shutil.copytree(empty_store, tmp_path / "data", symlinks=True)
    store = open_store(None, tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def server(clickhouse_url: str, tmp_path: Path) -> Iterator[Store]:
    yield from _on_server(f"clickhouse://default@{clickhouse_url}", tmp_path)


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Store]:
    assert REAL is not None
    yield from _on_server(REAL, tmp_path)


def _on_server(dsn: str, directory: Path) -> Iterator[Store]:
    dsn = own_database(dsn)
    store = open_store(dsn, directory)
    yield store
    store.command(f"DROP DATABASE {database_of(dsn)}")
    store.close()


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Store:
    """Each test that takes it runs on all."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=BACKENDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """The same for all tests of a module that leave it as it is."""
    directory = tmp_path_factory.mktemp("shared")
    if request.param == "embedded":
        found = open_store(None, directory)
        yield found
        found.close()
    elif request.param == "clickhouse":
        assert REAL is not None
        yield from _on_server(REAL, directory)
    else:
        url = request.getfixturevalue("clickhouse_url")
        yield from _on_server(f"clickhouse://default@{url}", directory)


@pytest.fixture
def fault(clickhouse_url: str) -> Callable[[str], None]:
    """Makes the next INSERT or SELECT at the server fail; see tests/support/clickhouse_http.py."""
    import urllib3

    def make(mode: str) -> None:
        answer = urllib3.request("POST", f"http://{clickhouse_url}/_fault?mode={mode}")
        assert answer.status == 200

    return make


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts services with a Push port, which end with the test."""
    async with services() as run:
        yield run
