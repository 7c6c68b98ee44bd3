"""A real service with real runs, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from stepline_ingest.page import FOLDER
from tests.support.service import Service
from tests.support.showcase import fill

TIMEOUT_MS = 20_000
"""Only ends what hangs: every wait is for something that happens."""
expect.set_options(timeout=TIMEOUT_MS)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_path() -> str:
    """Chromium as the system has it."""
    known = filter(None, map(shutil.which, _BROWSERS))
    found = os.environ.get("STEPLINE_CHROMIUM") or next(known, "")
    if not found:
        pytest.fail(
            "Chromium is missing: apt-get install chromium, or STEPLINE_CHROMIUM=/path/to/one"
        )
    return found


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the runs of a small showcase."""
    if not (Path(FOLDER) / "index.html").exists():
        pytest.fail("the dashboard is not built: make dashboard")
    with Service(tmp_path_factory.mktemp("browser") / "data") as running:
        fill(running.grpc, small=True)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a file: while Playwright runs, no other event loop can be started, and a worker takes
    files of other folders between two of these."""
    with sync_playwright() as playwright:
        # Without its sandbox where the tests run as root in a container.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        yield running
        running.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """An empty page, with storage of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(TIMEOUT_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Page, service: Service) -> Iterator[Page]:
    """A page of the service in which nothing may go wrong unseen, and which talks to nobody
    else."""
    wrong: list[str] = []
    own = (f"http://{service.http}/", "blob:", "data:")
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    tab.on("request", lambda asked: None if asked.url.startswith(own) else wrong.append(asked.url))
    tab.goto(f"http://{service.http}/")
    yield tab
    assert wrong == []
