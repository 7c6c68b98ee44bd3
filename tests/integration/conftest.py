"""One real service for the tests that leave it in peace; each test takes names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import stepline
from tests.support.processes import stop_uploaders
from tests.support.service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[stepline.Client]:
    with stepline.connect(service.grpc) as connected:
        yield connected


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spools"
    stop_uploaders(tmp_path / "spools")
