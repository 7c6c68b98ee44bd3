"""The page as a whole: hostile texts, small screens, themes, its weight."""

from __future__ import annotations

import gzip
from pathlib import Path

from playwright.sync_api import Page, expect

from stepline_ingest.page import FOLDER
from tests.browser.views import drawn, ink, visit
from tests.support.service import Service
from tests.support.showcase import HOSTILE

ODD = "/p/%3Cb%3Eodd%3C%2Fb%3E%20names"


def test_what_people_type_is_shown_and_never_run(page: Page, service: Service) -> None:
    page.get_by_role("link", name="<b>odd</b> names").click()
    for text in HOSTILE[:2]:
        expect(page.get_by_title(text, exact=True).first).to_be_visible()
    page.get_by_role("link", name="Charts").click()
    assert ink(drawn(page, "loss")) > 200
    drawn(page, "loss").hover()
    expect(page.locator(".tooltip-row")).to_have_count(len(HOSTILE))
    for path in (f"{ODD}/compare", f"{ODD}/compare?view=parallel", "/r/hostile-0/overview"):
        visit(page, service, path)
        expect(page.locator("main .loading")).to_have_count(0)
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"{path} is wider than the window"
    assert page.evaluate("window.hacked") is None
    assert page.locator("main script, main img").count() == 0


def test_a_phone_shows_everything_within_its_width(page: Page, service: Service) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    of_project = ("", "/charts", "/compare", "/compare?view=parallel")
    of_run = ("", "/overview", "/console", "/system")
    paths = [f"/p/vision-sweep{one}" for one in of_project] + [
        f"/r/gpt-125m-00{one}" for one in of_run
    ]
    for path in ("/", *paths):
        visit(page, service, path)
        expect(page.locator("main .loading")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_both_themes_have_a_ground_of_their_own(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    # The page hears of it, and of a key, a moment later.
    page.wait_for_function(f"{ground} !== '{light}'")
    page.keyboard.press("t")
    page.wait_for_function(f"{ground} === '{light}'")
    page.reload()
    page.wait_for_function(f"{ground} === '{light}'")  # the choice is remembered


def test_the_page_weighs_less_than_300_kib() -> None:
    files = [path for path in Path(FOLDER).rglob("*") if path.is_file()]
    weight = sum(len(gzip.compress(path.read_bytes())) for path in files)
    assert 0 < weight < 300 * 1024
