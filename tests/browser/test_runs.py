"""Finding runs: projects, the table, filters, groups, comparisons."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.views import drawn, ink, visit
from tests.support.service import Service


def test_projects_lead_to_runs_and_runs_to_charts(page: Page) -> None:
    page.get_by_role("link", name="vision-sweep").click()
    expect(page).to_have_url(re.compile(r"/p/vision-sweep$"))
    expect(page.get_by_text("12 runs")).to_be_visible()
    page.locator('[data-run="sweep-011"]').get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/r/sweep-011$"))
    expect(page.get_by_role("heading", name="sweep-011")).to_be_visible()
    assert ink(drawn(page, "grad/norm")) > 200


def test_a_filter_filters_and_stays_in_the_address(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep")
    rows = page.locator(".run-row[data-run]")
    expect(rows.first).to_be_visible()
    page.get_by_label("Filter runs").fill('config.optimizer = "sgd"')
    expect(page.get_by_text(re.compile(r"^\d runs$"))).to_be_visible()
    shown = rows.count()
    assert 0 < shown < 12
    page.reload()
    expect(rows).to_have_count(shown)
    expect(page.get_by_label("Filter runs")).to_have_value('config.optimizer = "sgd"')


def test_a_filter_that_cannot_be_read_says_where(tab: Page, service: Service) -> None:
    visit(tab, service, "/p/vision-sweep")
    tab.get_by_label("Filter runs").fill("config.lr >>")
    expect(tab.get_by_role("alert")).to_contain_text(re.compile(r"character \d+"))


def test_sorting_turns_the_order_around(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep?cols=config.lr&sort=config.lr")
    first = page.locator('.run-row[aria-rowindex="2"][data-run]')
    lowest = first.get_attribute("data-run") or ""
    head = page.get_by_role("columnheader").get_by_role("button", name="lr")
    head.click()
    expect(page).not_to_have_url(re.compile("sort="))
    head.click()
    expect(page).to_have_url(re.compile("sort=-config.lr"))
    expect(first).not_to_have_attribute("data-run", lowest)


def test_arrow_keys_go_from_row_to_row(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep")
    rows = page.locator(".run-row[data-run]")
    rows.first.get_by_role("link").focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("End")
    expect(rows.nth(11).get_by_role("link")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/r/sweep-011$"))


def test_columns_are_chosen_and_kept_in_the_address(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Search columns").fill("optimizer")
    page.get_by_role("checkbox", name=re.compile("config.optimizer")).check()
    expect(page).to_have_url(re.compile("config.optimizer"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name=re.compile("optimizer"))).to_be_visible()


def test_runs_are_grouped(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep?group=config.optimizer")
    heads = page.locator(".group-head")
    expect(heads).to_have_count(3)
    heads.first.click()
    expect(page.locator(".run-row[data-run]").first).to_be_visible()


def test_selected_runs_are_compared(page: Page, service: Service) -> None:
    visit(page, service, "/p/vision-sweep")
    for name in ("sweep-011", "sweep-010"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("link", name="Compare").last.click()
    table = page.locator("table.compare")
    expect(table.get_by_role("columnheader", name="sweep-010")).to_be_visible()
    expect(table.get_by_role("rowheader", name="lr", exact=True)).to_be_visible()
    # Only what differs.
    expect(table.get_by_role("rowheader", name="model", exact=True)).to_have_count(0)
    page.get_by_role("tab", name="Parallel").click()
    expect(page.get_by_text("12 of 12 runs")).to_be_visible()
    page.get_by_role("group", name=re.compile("optimizer")).focus()
    for _ in range(10):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_text(re.compile(r"^[1-9] of 12 runs"))).to_be_visible()
