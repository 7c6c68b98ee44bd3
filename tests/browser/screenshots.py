"""`make screenshots`: pictures of the main views over a realistic store, for the README.

python -m tests.browser.screenshots [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import browser_path
from tests.support.service import Service
from tests.support.showcase import fill

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
_READY = ".panel[data-resolution=full] canvas"


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    path: str
    ready: str = _READY
    dark: bool = False
    phone: bool = False
    hover: str = ""


SHOTS = (
    Shot("dashboard-runs", "/p/vision-sweep", ready=".run-row .cell:nth-child(8) > span[title]"),
    Shot(
        "dashboard-charts",
        "/p/llm-pretrain/charts?m=/^(train|val)/",
        hover='.panel[data-metric="train/loss"] .plot',
    ),
    Shot(
        "dashboard-charts-dark", "/p/llm-pretrain/charts?m=/^(grad|perf|val)/&smooth=0.8", dark=True
    ),
    Shot("dashboard-large", "/p/llm-pretrain/charts?open=train/loss&log=1", dark=True),
    Shot("dashboard-stragglers", "/r/gpt-1.3b-05?ranks=worst&m=perf&bands=off", ready=_READY),
    Shot("dashboard-parallel", "/p/vision-sweep/compare?view=parallel", ready=".axis-line"),
    Shot("dashboard-system", "/r/gpt-1.3b-08/system", ready=".heat canvas", dark=True),
    Shot("dashboard-phone", "/p/llm-pretrain/charts?m=loss", dark=True, phone=True),
)


def take(browser: Browser, service: Service, shot: Shot, folder: Path) -> Path:
    context = browser.new_context(
        viewport={"width": 390, "height": 844} if shot.phone else {"width": 1280, "height": 720},
        color_scheme="dark" if shot.dark else "light",
        device_scale_factor=2 if shot.phone else 1,
    )
    page = context.new_page()
    page.goto(f"http://{service.http}{shot.path}")
    _settle(page, shot)
    path = folder / f"{shot.name}.png"
    page.screenshot(path=path)
    context.close()
    return path


def _settle(page: Page, shot: Shot) -> None:
    page.locator(shot.ready).first.wait_for(timeout=60_000)
    page.wait_for_load_state("load")
    # Every panel on the screen has its lines, and the letters their font.
    page.wait_for_function(
        """() => document.fonts.status === 'loaded'
            && ![...document.querySelectorAll('.panel[data-metric]')].some((panel) => {
                const { top } = panel.getBoundingClientRect();
                return top < innerHeight && panel.dataset.resolution !== 'full';
            })""",
        timeout=60_000,
    )
    if shot.hover:
        page.locator(shot.hover).first.hover(position={"x": 210, "y": 90})
    page.wait_for_timeout(300)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the dashboard.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="stepline-shots-") as scratch,
        Service(Path(scratch) / "data") as service,
        sync_playwright() as playwright,
    ):
        fill(service.grpc)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        for shot in SHOTS:
            print(take(browser, service, shot, folder), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
