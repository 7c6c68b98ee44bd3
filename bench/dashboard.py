"""How long people wait for the dashboard, by the clock of a real browser.

    python -m bench dashboard

A project of 1,000 runs x 1,000 metrics is written by SQL; then a browser opens pages of it, and the
page's own clock says when what was asked for is painted. Panning is timed by the frames that the
browser paints. Each figure stands beside what was promised; a busy machine gives larger ones.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

import stepline
from stepline_ingest.store import Store, open_store
from tests.browser.conftest import browser_path
from tests.support.service import Service

RUNS, METRICS, STEPS = 1_000, 1_000, 8
LONG_RUNS, LONG_METRICS, LONG_STEPS = 10, 20, 20_000
RANKS, RANK_STEPS = 100, 1_000
ROUNDS, LIVE_POINTS = 5, 20
PROJECT = "wide"

_FILL_RUNS = """
INSERT INTO raw_runs (run, run_id, project, name, config, summary, state, created, updated, version)
SELECT sipHash64(id), id, '{project}', id, '{{"lr": ' || toString(1 / (number + 1)) || '}}',
    '{{}}', 'finished', time, time, 1
FROM (SELECT number, '{prefix}' || toString(number) AS id,
    fromUnixTimestamp64Milli(1790000000000 + number) AS time FROM numbers({count}))
"""
_FILL_ATTEMPTS = """
INSERT INTO raw_attempts (run, attempt, launch_id, world_size, created, version)
SELECT run, 1, 'bench', 1, created, 1 FROM raw_runs
"""
_FILL_NAMES = """
INSERT INTO raw_metrics (run, metric, name, first_seen)
SELECT sipHash64('{prefix}' || toString(intDiv(number, {metrics}))), sipHash64(name), name,
    fromUnixTimestamp64Milli(1790000000000)
FROM (SELECT number, 'group' || toString(intDiv(number % {metrics}, 50)) || '/metric' ||
    toString(number % {metrics}) AS name FROM numbers({count}))
"""
_FILL_POINTS = """
INSERT INTO raw_points (run, metric, rank, attempt, step, time, value, writer, seq, received)
SELECT sipHash64('{prefix}' || toString(intDiv(number, {per_run}))),
    sipHash64('group' || toString(intDiv(m, 50)) || '/metric' || toString(m)), r, 1, s,
    fromUnixTimestamp64Milli(1790000000000 + s * 100),
    2 / (1 + s / 500) + randNormal(0, 0.05) + m % 7, 1 + intDiv(number, {per_run}) + r * 100000,
    s + 1, toDateTime(1790000000)
FROM (SELECT number, intDiv(number, {steps} * {ranks}) % {metrics} AS m,
    intDiv(number, {steps}) % {ranks} AS r, toInt64(number % {steps}) AS s
    FROM numbers({first}, {count}))
"""
_PIECE = 2_000_000
_WATCH = """
window.painted = (selector, count) => new Promise((done) => {
    const look = () => {
        const found = document.querySelectorAll(selector);
        if (found.length >= count) requestAnimationFrame(() => done(performance.now()));
        else requestAnimationFrame(look);
    };
    look();
});
"""
_PAN = """async ([seconds]) => {
    const plot = document.querySelector('.panel.large .plot');
    const { left, top, width, height } = plot.getBoundingClientRect();
    const at = (x, type) => plot.dispatchEvent(new PointerEvent(type, {
        clientX: left + x, clientY: top + height / 2, shiftKey: true, button: 0, bubbles: true,
        pointerType: 'pen', pointerId: 1,
    }));
    const frame = () => new Promise(requestAnimationFrame);
    at(width / 2, 'pointerdown');
    await frame();
    const begin = performance.now();
    let frames = 0;
    while (performance.now() - begin < seconds * 1000) {
        at(width / 2 + 80 * Math.sin(frames / 9), 'pointermove');
        await frame();
        frames += 1;
    }
    at(width / 2, 'pointercancel');
    return frames / ((performance.now() - begin) / 1000);
}"""


def fill(store: Store, prefix: str, *, runs: int, metrics: int, steps: int, ranks: int = 1) -> None:
    """RUNS runs with all their points."""
    store.command(_FILL_RUNS.format(project=PROJECT, prefix=prefix, count=runs))
    store.command(_FILL_NAMES.format(prefix=prefix, metrics=metrics, count=runs * metrics))
    per_run = metrics * steps * ranks
    total = runs * per_run
    for first in range(0, total, _PIECE):
        store.command(
            _FILL_POINTS.format(
                prefix=prefix,
                per_run=per_run,
                metrics=metrics,
                steps=steps,
                ranks=ranks,
                first=first,
                count=min(_PIECE, total - first),
            )
        )


def opened(browser: Browser, url: str, selector: str, count: int) -> float:
    """Milliseconds from the start of the navigation until COUNT elements of SELECTOR are
    painted; a browser that has seen nothing before."""
    context = browser.new_context(viewport={"width": 1920, "height": 1400})
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(url, wait_until="commit")
    taken = page.evaluate(f"painted({json.dumps(selector)}, {count})")
    context.close()
    return float(taken)


def panned(browser: Browser, url: str) -> float:
    """Frames a second while a chart is dragged to and fro."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(url)
    page.evaluate("painted('.panel.large[data-resolution=full] canvas', 1)")
    rate = page.evaluate(_PAN, [2])
    context.close()
    return float(rate)


def seen(page: Page, service: Service, directory: Path) -> list[float]:
    """Milliseconds from each log() until the legend shows its value."""
    run = stepline.init(
        project="live", run_id="live", server=service.grpc, dir=directory, uploader="thread"
    )
    run.log({"loss": 1.0}, step=0)
    run.flush(timeout=30)
    page.goto(f"http://{service.http}/r/live?open=loss")
    page.locator(".legend b").wait_for()
    delays = []
    for number in range(1, LIVE_POINTS + 1):
        value = str(1_000 + number)
        wanted = f"{int(value):,}"
        begin = time.time() * 1_000
        run.log({"loss": float(value)}, step=number)
        end = page.evaluate(
            """(wanted) => new Promise((done) => {
                const look = () => document.querySelector('.legend b')?.textContent === wanted
                    ? done(Date.now()) : requestAnimationFrame(look);
                look();
            })""",
            wanted,
        )
        delays.append(float(end) - begin)
    run.finish()
    return delays


def show(name: str, figure: str, promise: str) -> None:
    print(f"{name:<58} {figure:>14}   promised {promise}", flush=True)


def median_of(function: Callable[[], float]) -> float:
    """After one round that fills the caches of the service, as a page in use has them."""
    function()
    return statistics.median(function() for _ in range(ROUNDS))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as scratch:
        directory = Path(scratch)
        store = open_store(None, directory / "data")
        try:
            fill(store, "many", runs=RUNS, metrics=METRICS, steps=STEPS)
            fill(store, "long", runs=LONG_RUNS, metrics=LONG_METRICS, steps=LONG_STEPS)
            fill(store, "ranks", runs=1, metrics=1, steps=RANK_STEPS, ranks=RANKS)
            store.command(_FILL_ATTEMPTS)
        finally:
            store.close()
        with Service(directory / "data") as service, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path(), args=["--no-sandbox"]
            )
            home = f"http://{service.http}/p/{PROJECT}"
            measure(browser, home)
            page = browser.new_page()
            delays = sorted(seen(page, service, directory / "spools"))
            show(
                f"a point logged is drawn, p95 of {len(delays)}",
                f"{delays[int(0.95 * (len(delays) - 1))]:.0f} ms",
                "2,000 ms",
            )
            browser.close()


def measure(browser: Browser, home: str) -> None:
    drawn = ".panel[data-metric]:not([data-resolution=none]) canvas"
    full = ".panel[data-resolution=full] canvas"
    many = f"{home}/charts?sel=" + ",".join(f"many{number}" for number in range(10))
    long = f"{home}/charts?sel=" + ",".join(f"long{number}" for number in range(LONG_RUNS))
    cases = (
        (
            "the list of projects: what any page costs",
            home.rpartition("/p/")[0],
            ".projects a",
            1,
            "",
        ),
        (f"table of {RUNS:,} runs", home, ".run-row[data-run]", 1, "1,000 ms"),
        (f"first chart of {RUNS:,} runs x {METRICS:,} metrics", many, drawn, 1, "1,000 ms"),
        (f"the same as fine as the screen, {LONG_METRICS} panels x 10 runs", many, full, 20, ""),
        (
            f"{LONG_METRICS} panels x {LONG_RUNS} runs x {LONG_STEPS:,} steps, complete",
            long,
            full,
            LONG_METRICS,
            "2,000 ms",
        ),
    )
    for name, url, selector, count, promise in cases:
        taken = median_of(lambda url=url, s=selector, n=count: opened(browser, url, s, n))  # type: ignore[misc]
        show(name, f"{taken:.0f} ms", promise or "-")
    dragged = f"{home}/charts?sel=ranks0&ranks=all&open=group0/metric0"
    show(
        f"panning {RANKS} lines x {RANK_STEPS:,} points",
        f"{panned(browser, dragged):.0f} frames/s",
        "30 frames/s",
    )


if __name__ == "__main__":
    main()
