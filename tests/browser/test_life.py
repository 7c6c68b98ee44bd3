"""What changes while a page is open: points, the service, a run that is deleted, keys."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

import stepline
from tests.browser.views import chart_requests, drawn, visit
from tests.support.service import Service
from tests.support.showcase import HOSTILE


def stepline_cli(*arguments: str) -> str:
    """What the command line prints."""
    command = [sys.executable, "-m", "stepline.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_points_appear_as_they_are_logged(page: Page, service: Service, tmp_path: Path) -> None:
    run = stepline.init(
        project="live", run_id="live-1", server=service.grpc, dir=tmp_path, uploader="thread"
    )
    run.log({"loss": 1.0}, step=0)
    run.flush(timeout=20)
    visit(page, service, "/r/live-1")
    drawn(page, "loss")
    page.get_by_role("img", name=re.compile("loss")).focus()
    page.keyboard.press("Enter")
    legend = page.locator(".legend b")
    expect(legend).to_have_text("1")
    run.log({"loss": 42.5}, step=1)
    expect(legend).to_have_text("42.5")
    run.finish()
    expect(page.locator(".run-title .state")).to_have_text("finished")
    # What is whole with few points is asked for once.
    asked: list[object] = []
    page.on("request", lambda one: asked.extend(chart_requests(one)))
    visit(page, service, "/r/live-1")
    drawn(page, "loss")
    page.wait_for_load_state("networkidle")
    assert len(asked) == 1


def test_name_tags_and_notes_are_edited_and_stay_text(
    page: Page, service: Service, tmp_path: Path
) -> None:
    run = stepline.init(
        project="live", run_id="edited", name="old", tags=["draft", "kept"],
        server=service.grpc, dir=tmp_path, uploader="thread",
    )  # fmt: skip
    run.log({"loss": 1.0})
    run.finish()
    visit(page, service, "/r/edited")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("old")
    hostile = HOSTILE[0]
    # By the keyboard alone.
    page.get_by_role("button", name="Edit", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(hostile)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on "Remove the tag draft"
    page.get_by_label("Tags").focus()
    page.keyboard.insert_text(hostile)
    page.keyboard.press("Enter")
    page.keyboard.insert_text("not yet entered")
    page.get_by_label("Notes").fill(f"second\n{hostile}")
    page.keyboard.press("Control+Enter")
    expect(heading).to_have_text(hostile)
    expect(page.locator(".run-title .tag")).to_have_text(["kept", hostile, "not yet entered"])
    page.get_by_role("link", name="Overview").click()
    expect(page.locator(".notes")).to_have_text(f"second\n{hostile}")
    # Escape leaves everything as it was.
    page.keyboard.press("e")
    page.get_by_label("Name", exact=True).fill("never")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    expect(heading).to_have_text(hostile)


def test_the_address_of_a_deleted_run_says_so(tab: Page, service: Service, tmp_path: Path) -> None:
    run = stepline.init(
        project="live", run_id="gone", server=service.grpc, dir=tmp_path, uploader="thread"
    )
    run.log({"loss": 1.0})
    run.finish()
    stepline_cli("delete", "gone", "--yes", "--server", service.grpc)
    visit(tab, service, "/r/gone")
    expect(tab.get_by_text("This run is not there")).to_be_visible()
    visit(tab, service, "/p/live/charts?sel=gone")
    expect(tab.get_by_text("The chosen runs are not there")).to_be_visible()


def test_a_service_goes_away_comes_back_and_asks_for_a_key(tab: Page, tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        visit(tab, service, "/")
        expect(tab.get_by_text("No runs yet")).to_be_visible()
        service.terminate()
        # As a click on a link does: without a load.
        tab.evaluate("history.pushState(null, '', '/p/none')")
        tab.evaluate("dispatchEvent(new Event('popstate'))")
        expect(tab.get_by_role("alert")).to_contain_text("does not answer")
        service.start()
        expect(tab.get_by_role("alert")).to_have_count(0)
        expect(tab.get_by_text("No runs here")).to_be_visible()
        run = stepline.init(
            project="mine", run_id="mine", server=service.grpc, dir=tmp_path, uploader="thread"
        )
        run.finish()

        # The first key of a service ends its openness.
        of_project = ("--scope", "read", "--project", "mine", "--server", service.grpc)
        key = re.search(r"\S{40,}", stepline_cli("key", "create", *of_project))
        assert key is not None
        visit(tab, service, "/")
        field = tab.get_by_label("Key", exact=True)
        field.fill("wrong")
        tab.get_by_role("button", name="Sign in").click()
        expect(tab.get_by_role("alert")).to_be_visible()
        field.fill(key[0])
        tab.get_by_role("button", name="Sign in").click()
        expect(tab.get_by_role("link", name="mine")).to_be_visible()
        tab.reload()
        expect(tab.get_by_role("link", name="mine")).to_be_visible()
        # This key reads: who edits is told, and nothing is changed.
        visit(tab, service, "/r/mine")
        tab.get_by_role("button", name="Edit", exact=True).click()
        tab.get_by_label("Name", exact=True).fill("other")
        tab.get_by_role("button", name="Save").click()
        expect(tab.get_by_role("alert")).to_contain_text("has the scope read")
        expect(tab.get_by_role("alert")).to_contain_text("stepline key create --scope ingest")
        tab.get_by_role("button", name="Cancel").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("mine")
        tab.get_by_role("button", name="Sign out").click()
        expect(field).to_be_visible()
