"""How long people wait for the dashboard, by the clock of a real browser.

    python -m bench dashboard

A project of 1,000 runs x 1,000 metrics, one of 100,000 runs and one run of 100,000 metrics are
written by SQL, with their rollups and summaries, so that the service has nothing left to do. Then a
browser opens pages of them, and the page's own clock says when what was asked for is painted;
beside it stand the processor time that the service took for it, and the calls that the page made.
Panning and scrolling are timed by the frames that the browser paints. Each figure stands beside
what was promised; a busy machine gives larger ones.

    STEPLINE_BENCH_STORE=DIRECTORY python -m bench dashboard   # keeps the store, or takes it up
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Request, sync_playwright

import stepline
from stepline_ingest.catalogue.index import FieldIndex
from stepline_ingest.catalogue.summaries import SummaryTable
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.schema.upkeep import build_rollups
from stepline_ingest.store import Store, open_store
from tests.browser.conftest import browser_path
from tests.support.service import Service

RUNS, METRICS, STEPS = 1_000, 1_000, 8
LONG_RUNS, LONG_METRICS, LONG_STEPS = 10, 20, 20_000
RANKS, RANK_STEPS = 100, 1_000
MANY_RUNS, MANY_METRICS = 100_000, 100_000
ROUNDS, LIVE_POINTS = 5, 20
PROJECT = "wide"
CROWD = "crowd"

_FILL_RUNS = """
INSERT INTO raw_runs (run, run_id, project, name, config, summary, state, created, updated, version)
SELECT sipHash64(id), id, '{project}', id, '{{"lr": ' || toString(1 / (number + 1)) || '}}',
    '{{}}', 'finished', time, time, 1
FROM (SELECT number, '{prefix}' || toString(number) AS id,
    fromUnixTimestamp64Milli(1790000000000 + number) AS time FROM numbers({count}))
"""
_FILL_ATTEMPTS = """
INSERT INTO raw_attempts (run, attempt, launch_id, world_size, created, state, ended, version)
SELECT run, 1, 'bench', 1, created, 'finished', created + 60, 1 FROM raw_runs
"""
_FILL_ENDS = """
INSERT INTO raw_finishes (run, attempt, rank, writer, exit_code, finished, version)
SELECT run, 1, 0, 1, 0, created + 60, 1 FROM raw_runs
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
_FILL_SUMMARIZED = """
INSERT INTO raw_summarized (run, points, version) SELECT run, 0, 1 FROM raw_runs
"""
"""Of runs without points."""
_PIECE = 2_000_000
_WATCH = """
window.painted = (selector, count) => new Promise((done) => {
    const look = () => {
        const found = document.querySelectorAll(selector);
        if (found.length >= count) return done(performance.now());
        // A message that is sent from within a frame comes behind its painting.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = look;
        requestAnimationFrame(() => port2.postMessage(0));
    };
    look();
});
"""
_SETTLE_S = 1.5
"""A new window loads pages of the browser's own (its tabs, its address bar: 370 files and as much
processor time as ours), which people have waited for before they come to us."""
_MOVED = """async ([seconds, kind]) => {
    const plot = document.querySelector('.panel.large .plot');
    const { left, top, width, height } = plot.getBoundingClientRect();
    const at = (x, y) => ({ clientX: left + x, clientY: top + y, bubbles: true, cancelable: true });
    const pointer = (x, type) => plot.dispatchEvent(new PointerEvent(type, {
        ...at(x, height / 2), shiftKey: true, button: 0, pointerType: 'pen', pointerId: 1,
    }));
    const moves = {
        pan: (n) => pointer(width / 2 + 80 * Math.sin(n / 9), 'pointermove'),
        zoom: (n) => plot.dispatchEvent(new WheelEvent('wheel', {
            ...at(width / 3, height / 2), ctrlKey: true, deltaY: -12 * Math.cos(n / 20),
        })),
    };
    const frame = () => new Promise(requestAnimationFrame);
    if (kind === 'pan') pointer(width / 2, 'pointerdown');
    await frame();
    const begin = performance.now();
    let frames = 0;
    while (performance.now() - begin < seconds * 1000) {
        moves[kind](frames);
        await frame();
        frames += 1;
    }
    if (kind === 'pan') pointer(width / 2, 'pointercancel');
    return frames / ((performance.now() - begin) / 1000);
}"""
"""Drags a chart to and fro, or zooms into it and out again around a pointer."""


_SCROLL = """async ([seconds]) => {
    const table = document.querySelector('.run-table');
    const frame = () => new Promise(requestAnimationFrame);
    const begin = performance.now();
    let [frames, last, longest] = [0, begin, 0];
    while (last - begin < seconds * 1000) {
        const share = (last - begin) / (seconds * 1000);
        table.scrollTop = share * (table.scrollHeight - table.clientHeight);
        await frame();
        const now = performance.now();
        longest = Math.max(longest, now - last);
        [last, frames] = [now, frames + 1];
    }
    return [frames / ((last - begin) / 1000), longest];
}"""


def fill(
    store: Store,
    prefix: str,
    *,
    runs: int,
    metrics: int,
    steps: int,
    ranks: int = 1,
    project: str = PROJECT,
) -> None:
    """RUNS runs with all their points."""
    store.command(_FILL_RUNS.format(project=project, prefix=prefix, count=runs))
    if not metrics:
        return
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


def fill_all(directory: Path) -> None:
    """The projects of the measurements, with nothing left to do for a service."""
    store = open_store(None, directory)
    try:
        fill(store, "crowd", runs=MANY_RUNS, metrics=0, steps=0, project=CROWD)
        store.command(_FILL_SUMMARIZED)
        fill(store, "many", runs=RUNS, metrics=METRICS, steps=STEPS)
        fill(store, "long", runs=LONG_RUNS, metrics=LONG_METRICS, steps=LONG_STEPS)
        fill(store, "ranks", runs=1, metrics=1, steps=RANK_STEPS, ranks=RANKS)
        fill(store, "names", runs=1, metrics=MANY_METRICS, steps=2, project="names")
        store.command(_FILL_ATTEMPTS)
        store.command(_FILL_ENDS)
        build_rollups(store)
        FieldIndex(store).catch_up()
        summaries = SummaryTable(store, SqlRunTables(store), {})
        summaries.catch_up()
        summaries.refresh(patience=3_600)
    finally:
        store.close()


@dataclass(frozen=True)
class Opened:
    """What it took to open a page."""

    ms: float
    """From the start of the navigation until all was painted, by the clock of the page."""
    service_ms: float
    """Processor time of the service."""
    calls: int
    """Of the service, static files aside."""


def fresh(browser: Browser, width: int, height: int) -> Page:
    """An empty page in a window that has seen nothing before, and is at rest."""
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.add_init_script(_WATCH)
    time.sleep(_SETTLE_S)
    return page


def opened(browser: Browser, service: Service, url: str, selector: str, count: int) -> Opened:
    """Until COUNT elements of SELECTOR are painted, in a browser that has seen nothing before."""
    page = fresh(browser, 1920, 1400)
    calls: list[str] = []

    def called(request: Request) -> None:
        if "/stepline.v1." in request.url:
            calls.append(request.url)

    page.on("request", called)
    before = processor_ms(service.pid)
    page.goto(url, wait_until="commit")
    taken = page.evaluate(f"painted({json.dumps(selector)}, {count})")
    found = Opened(float(taken), processor_ms(service.pid) - before, len(calls))
    page.context.close()
    return found


def processor_ms(pid: int) -> float:
    """That a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1_000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def moved(browser: Browser, url: str, kind: str) -> float:
    """Frames a second while a chart is dragged to and fro (`pan`), or in and out (`zoom`)."""
    page = fresh(browser, 1280, 720)
    page.goto(url)
    page.evaluate("painted('.panel.large[data-resolution=full] canvas', 1)")
    rate = page.evaluate(_MOVED, [2, kind])
    page.context.close()
    return float(rate)


def scrolled(browser: Browser, url: str) -> tuple[float, float]:
    """Frames a second while a table of runs is scrolled from end to end, and the milliseconds of
    the longest frame."""
    page = fresh(browser, 1280, 720)
    page.goto(url)
    page.evaluate("painted('.run-row[data-run]', 1)")
    rate, longest = page.evaluate(_SCROLL, [3])
    page.context.close()
    return float(rate), float(longest)


def searched(browser: Browser, url: str, text: str) -> float:
    """Milliseconds from the key that ends a search until its sections stand there."""
    page = fresh(browser, 1280, 720)
    page.goto(url)
    page.evaluate("painted('.panel[data-resolution=full] canvas', 1)")
    field = page.get_by_label("Search metrics")
    field.fill(text)
    begin = page.evaluate("performance.now()")
    field.press("Enter")
    wanted = json.dumps(f'.panel[data-metric$="{text}"][data-resolution=full] canvas')
    end = page.evaluate(f"painted({wanted}, 1)")
    page.context.close()
    return float(end) - float(begin)


def seen(page: Page, service: Service, directory: Path) -> list[float]:
    """Milliseconds from each log() until the legend shows its value."""
    run = stepline.init(project="live", server=service.grpc, dir=directory, uploader="thread")
    run.log({"loss": 1.0}, step=0)
    run.flush(timeout=30)
    page.goto(f"http://{service.http}/r/{run.id}?open=loss")
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


def median_of(function: Callable[[], Opened]) -> Opened:
    """After one round that fills the caches of the service, as a page in use has them."""
    function()
    found = [function() for _ in range(ROUNDS)]
    return Opened(
        statistics.median(one.ms for one in found),
        statistics.median(one.service_ms for one in found),
        max(one.calls for one in found),
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as scratch:
        directory = Path(os.environ.get("STEPLINE_BENCH_STORE") or scratch)
        data = directory / "data"
        if not data.exists():
            print("writing the store", flush=True)
            fill_all(data)
        with Service(data) as service, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path(), args=["--no-sandbox"]
            )
            measure(browser, service)
            page = browser.new_page()
            delays = sorted(seen(page, service, directory / "spools"))
            show(
                f"a point logged is drawn, p95 of {len(delays)}",
                f"{delays[int(0.95 * (len(delays) - 1))]:.0f} ms",
                "2,000 ms",
            )
            browser.close()


def measure(browser: Browser, service: Service) -> None:
    root = f"http://{service.http}"
    home = f"{root}/p/{PROJECT}"
    # A canvas has a width of its own from its first painting on.
    drawn = ".panel[data-metric]:not([data-resolution=none]) canvas[width]"
    full = ".panel[data-resolution=full] canvas[width]"
    row = ".run-row[data-run]"
    many = f"{home}/charts?sel=" + ",".join(f"many{number}" for number in range(10))
    long = f"{home}/charts?sel=" + ",".join(f"long{number}" for number in range(LONG_RUNS))
    cases = (
        ("the list of projects: what any page costs", root, ".projects a", 1, ""),
        (f"table of {RUNS:,} runs", home, row, 1, "1,000 ms"),
        (f"first chart of {RUNS:,} runs x {METRICS:,} metrics", many, drawn, 1, "1,000 ms"),
        ("the same, of the newest runs", f"{home}/charts", drawn, 1, "1,000 ms"),
        (f"the same as fine as the screen, {LONG_METRICS} panels x 10 runs", many, full, 20, ""),
        (
            f"{LONG_METRICS} panels x {LONG_RUNS} runs x {LONG_STEPS:,} steps, complete",
            long,
            full,
            LONG_METRICS,
            "2,000 ms",
        ),
        (f"table of {MANY_RUNS:,} runs", f"{root}/p/{CROWD}", row, 1, "1,000 ms"),
        ("the same by config.lr", f"{root}/p/{CROWD}?sort=-config.lr", row, 1, "1,000 ms"),
        (f"first chart of {MANY_METRICS:,} metrics", f"{root}/r/names0", drawn, 1, "1,000 ms"),
    )
    for name, url, selector, count, promise in cases:
        taken = median_of(
            lambda url=url, s=selector, n=count: opened(browser, service, url, s, n)  # type: ignore[misc]
        )
        show(
            name,
            f"{taken.ms:.0f} ms",
            f"{promise or '-':<10} service {taken.service_ms:4.0f} ms, {taken.calls} calls",
        )
    dragged = f"{home}/charts?sel=ranks0&ranks=all&open=group0/metric0"
    for kind in ("pan", "zoom"):
        show(
            f"{kind} of {RANKS} lines x {RANK_STEPS:,} points",
            f"{moved(browser, dragged, kind):.0f} frames/s",
            "30 frames/s",
        )
    rate, longest = scrolled(browser, f"{root}/p/{CROWD}")
    show(
        f"scrolling through {MANY_RUNS:,} runs in 3 s",
        f"{rate:.0f} frames/s",
        f"30 frames/s, longest frame {longest:.0f} ms",
    )
    taken_ms = searched(browser, f"{root}/r/names0", f"metric{MANY_METRICS - 1}")
    show(f"a search in {MANY_METRICS:,} names", f"{taken_ms:.0f} ms", "-")


if __name__ == "__main__":
    main()
