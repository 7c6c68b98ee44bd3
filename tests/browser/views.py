"""How tests find their way on the page."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, Request, expect

from stepline_ingest.gen.stepline.v1 import query_pb2
from tests.support.service import Service

_INK = """async (canvas) => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame(); await frame();
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = data.slice(i, i + 4);
        if (a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 40) found++;
    }
    return found;
}"""


def visit(page: Page, service: Service, path: str) -> None:
    page.goto(f"http://{service.http}{path}")


def panel(page: Page, metric: str) -> Locator:
    return page.locator(f'.panel[data-metric="{metric}"]')


def drawn(page: Page, metric: str) -> Locator:
    """The canvas of a panel that has its lines as fine as the screen."""
    full = page.locator(f'.panel[data-metric="{metric}"][data-resolution="full"] canvas')
    expect(full).to_be_visible()
    return full


def ink(canvas: Locator) -> int:
    """Pixels of a canvas that something was painted on in a colour."""
    return int(canvas.evaluate(_INK))


def chart_requests(request: Request) -> list[query_pb2.ChartRequest]:
    """What a request of the page asks Query.Chart for; nothing where it asks something else."""
    if "Query/Chart" not in request.url:
        return []
    found = query_pb2.ChartRequest()
    if request.method == "GET":
        (text,) = parse_qs(urlsplit(request.url).query)["message"]
        found.ParseFromString(base64.urlsafe_b64decode(text + "=="))
    else:
        # Behind the five bytes of an envelope.
        found.ParseFromString((request.post_data_buffer or b"")[5:])
    return [found]
