"""A service that asks for keys, with an admin key to make others by."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepline import _core
from tests.support.processes import stop_uploaders
from tests.support.service import Service


class Guarded(Service):
    """A service whose first key, an admin key, was made before it started."""

    def __init__(self, data: Path, *options: str, **more: Any) -> None:
        self.admin = command("key", "create", "--scope", "admin", "--data", str(data)).strip()
        super().__init__(data, *options, **more)

    def key(self, scope: str, project: str = "") -> str:
        """A new key, made with the admin key."""
        connection = _core.Connection(self.grpc, api_key=self.admin)
        try:
            return connection.create_key(scope, project, "", None)[1]
        finally:
            connection.close()

    def counted(self, name: str, reason: str) -> float:
        """What /metrics says of the counter NAME with a REASON."""
        request = urllib.request.Request(
            f"http://{self.http}/metrics", headers={"Authorization": f"Bearer {self.admin}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            page = answer.read().decode()
        found = re.search(rf'{name}{{reason="{reason}"}} (\S+)', page)
        assert found is not None
        return float(found[1])

    def ask(self, *arguments: str, api_key: str | None) -> str:
        return command(*arguments, server=self.grpc, api_key=api_key)


class Refused(AssertionError):
    """The command ended with an error; the text is what it wrote."""


def command(
    *arguments: str,
    server: str | None = None,
    api_key: str | None = None,
    extra: dict[str, str] | None = None,
) -> str:
    """`stepline ARGUMENTS`; what it prints. EXTRA goes on top of an environment without ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("STEPLINE_")}
    env |= extra or {}
    if server is not None:
        env["STEPLINE_SERVER"] = server
    if api_key is not None:
        env["STEPLINE_API_KEY"] = api_key
    ended = subprocess.run(
        [sys.executable, "-m", "stepline.cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if ended.returncode != 0:
        raise Refused(ended.stderr)
    return ended.stdout


def rows(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded") / "data") as running:
        yield running


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spools"
    stop_uploaders(tmp_path / "spools")


@pytest.fixture
def run_command() -> Callable[..., str]:
    return command
