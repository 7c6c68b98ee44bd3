"""Reading curves: axes, zoom, search, tooltips, exports, hardware."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import stepline
from stepline_ingest.gen.stepline.v1 import query_pb2
from tests.browser.views import chart_requests, drawn, ink, panel, visit
from tests.support.service import Service


def test_zoom_refines_to_points_and_double_click_shows_all(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=train/loss&ranks=0")
    canvas = drawn(page, "train/loss")
    badge = panel(page, "train/loss").get_by_text("points", exact=True)
    expect(badge).to_have_count(0)
    box = canvas.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 150, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, middle, steps=4)
    with page.expect_request(re.compile("Query/Chart")):
        page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom=\d"))
    expect(badge).to_be_visible()
    # The pointer rested while the axis moved under it.
    mark = page.locator(".plot-cursor").bounding_box()
    assert mark is not None
    assert abs(mark["x"] - box["x"] - 180) < 2
    page.mouse.dblclick(box["x"] + 200, middle)
    expect(page).not_to_have_url(re.compile("zoom="))
    expect(badge).to_have_count(0)


def test_a_chart_that_is_dragged_moves_before_it_is_asked_for(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=train/loss&zoom=100..300")
    canvas = drawn(page, "train/loss")
    box = canvas.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 150, middle)
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(box["x"] + 110, middle, steps=3)
    assert ink(canvas) > 200
    expect(page).to_have_url(re.compile(r"zoom=100\.\.300"))
    page.mouse.up()
    expect(page).not_to_have_url(re.compile(r"zoom=100\.\.300"))
    assert ink(drawn(page, "train/loss")) > 200


def test_panels_on_the_screen_ask_together(page: Page, service: Service) -> None:
    asked: list[query_pb2.ChartRequest] = []
    page.on("request", lambda one: asked.extend(chart_requests(one)))
    visit(page, service, "/r/gpt-125m-00?m=/^(train.l|val.l)/")
    expect(page.locator('.panel[data-resolution="full"]')).to_have_count(3)
    page.wait_for_load_state("networkidle")
    coarse, full = asked
    assert set(coarse.metrics) == set(full.metrics) == {"train/loss", "train/lr", "val/loss"}
    assert coarse.points < 100 <= full.points


def test_metrics_are_searched_by_glob_and_expression(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00")
    field, panels = page.get_by_label("Search metrics"), page.locator(".panel[data-metric]")
    field.fill("layers/0?/weight*")
    expect(panels).to_have_count(6)
    field.fill("/^val.loss$/")
    expect(panels).to_have_count(1)
    field.fill("no such metric")
    expect(page.get_by_text("No metric has such a name")).to_be_visible()


def test_a_tooltip_reads_the_lines_at_the_pointer(page: Page, service: Service) -> None:
    visit(page, service, "/p/llm-pretrain/charts?m=train/loss")
    drawn(page, "train/loss").hover(position={"x": 60, "y": 60})
    expect(page.locator(".tooltip-row")).to_have_count(3)
    expect(page.locator(".tooltip-head")).to_contain_text("step")


def test_every_rank_has_a_line_when_asked(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=perf/step_ms&ranks=all")
    drawn(page, "perf/step_ms").hover(position={"x": 60, "y": 60})
    expect(page.locator(".tooltip-row")).to_have_count(4)
    expect(page.locator(".tooltip-name").first).to_contain_text("rank")


@pytest.mark.parametrize(
    "query", ["x=time", "x=relative", "x=metric:train/lr", "log=1&logx=1", "smooth=0.9", "clip=1"]
)
def test_charts_are_drawn_on_every_axis(page: Page, service: Service, query: str) -> None:
    visit(page, service, f"/r/gpt-125m-00?m=train/loss&{query}")
    assert ink(drawn(page, "train/loss")) > 200


def test_a_panel_opens_large_by_keyboard(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=train/loss")
    drawn(page, "train/loss")
    page.get_by_role("img", name=re.compile("loss, ")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading", name="train/loss")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_text("Search metrics")).to_be_visible()


def test_a_panel_is_exported(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=train/loss")
    drawn(page, "train/loss")
    shown = panel(page, "train/loss")
    for kind, begins in {"PNG": b"\x89PNG", "SVG": b"<svg", "CSV": b"run,metric"}.items():
        shown.hover()
        shown.get_by_role("button", name="Export").click()
        with page.expect_download() as event:
            page.get_by_role("button", name=kind).click()
        assert event.value.path().read_bytes().startswith(begins)
        assert event.value.suggested_filename == f"train-loss.{kind.lower()}"


def test_the_charts_on_the_screen_are_one_file(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00?m=/^(train.l|val.l)/")
    expect(page.locator('.panel[data-resolution="full"]')).to_have_count(3)
    page.get_by_role("button", name="Share and export").click()
    with page.expect_download() as event:
        page.get_by_role("button", name="3 charts as SVG").click()
    drawing = event.value.path().read_text()
    assert all(f">{name}</text>" in drawing for name in ("train/loss", "train/lr", "val/loss"))


def test_a_pinned_panel_comes_first_and_the_address_knows(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00")
    shown = panel(page, "grad/norm")
    shown.hover()
    shown.get_by_role("button", name="Pin grad/norm").click()
    page.reload()
    expect(page.locator(".section-head").first).to_contain_text("pinned")
    expect(panel(page, "grad/norm")).to_have_count(2)


def test_a_command_is_copied_from_the_large_view_without_tls(page: Page, service: Service) -> None:
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        "addEventListener('copy', (event) => { window.copied = event.target.value; });"
    )
    visit(page, service, "/r/gpt-125m-00?open=train/loss")
    large = page.get_by_role("dialog")
    large.get_by_role("button", name="Export").click()
    large.get_by_text("Copy the command").click()
    expect(large.get_by_text("Copied")).to_be_visible()
    assert "train/loss" in page.evaluate("window.copied")


def test_a_metric_is_drawn_over_what_was_defined_for_it(
    page: Page, service: Service, tmp_path: Path
) -> None:
    run = stepline.init(
        project="live", run_id="defined", server=service.grpc, dir=tmp_path, uploader="thread"
    )
    run.define_metric("loss", x="epoch", unit="nats")
    run.define_metric("debug/*", hidden=True)
    for step in range(20):
        run.log({"loss": 1 / (1 + step), "epoch": step / 4, "debug/a": 1.0})
    run.finish()
    visit(page, service, "/r/defined")
    drawn(page, "loss").hover(position={"x": 60, "y": 60})
    expect(page.locator(".tooltip-head")).to_contain_text("epoch")
    expect(panel(page, "loss")).to_contain_text("nats")
    drawn(page, "epoch").hover(position={"x": 60, "y": 60})
    expect(page.locator(".tooltip-head")).to_contain_text("step")
    # What is hidden is there for who looks for it.
    expect(panel(page, "debug/a")).to_have_count(0)
    page.get_by_label("Search metrics").fill("debug")
    drawn(page, "debug/a")
    # Runs that share a line are drawn over steps.
    visit(page, service, "/r/defined?m=loss&by=state")
    drawn(page, "loss").hover(position={"x": 60, "y": 60})
    expect(page.locator(".tooltip-head")).to_contain_text("step")


def test_hardware_is_a_heat_map(page: Page, service: Service) -> None:
    visit(page, service, "/r/gpt-125m-00/system")
    expect(page.get_by_role("img", name="Heat map of 8 lines")).to_be_visible()
    page.get_by_label("show").select_option("system/cpu/percent")
    expect(page.get_by_role("img", name="Heat map of 1 lines")).to_be_visible()
