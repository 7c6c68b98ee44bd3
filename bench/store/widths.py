"""How wide are the cells of the tiers, and what does a chart cost with them?"""

from __future__ import annotations

from unittest import mock

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting
from stepline_ingest.store.embedded import EmbeddedStore

from .engine import fill, milliseconds, opened, table
from .shapes import RUN, Shape, blocks, metric_ids

SETS = ((64, 4096, 262_144), (128, 2048, 32_768), (256, 8192, 262_144))
RANGES = (60_000, 250_000, 1_000_000, 4_000_000)
BUCKETS = 1000
_AGGREGATES = ", ".join(
    (tiers.COUNT, tiers.NONFINITE, tiers.LOW, tiers.HIGH, tiers.FIRST, tiers.LAST, tiers.SUM)
)


def main() -> None:
    shape = Shape("", 1, 1, 500_000, 8)
    data = list(blocks(shape))
    print(
        f"one series of {shape.rows * shape.blocks:,} points, charts of {BUCKETS} buckets; x a "
        "look-up"
    )
    with opened(table(projections="")) as store:
        plain = fill(store, data, shape.rows)
        charts = ", ".join(f"{n:,}: {_chart(store, n, 0):.1f}" for n in RANGES[:3])
        print(f"{'no tiers':22} {plain.bytes_per_point:.2f} B a point; points read raw {charts}")
    for widths in SETS:
        with mock.patch.object(tiers, "WIDTHS", widths):
            ddl = tiers.projection_ddl()
        with opened(table(projections=ddl)) as store:
            cost = fill(store, data, shape.rows)
            parts = []
            for n in RANGES:
                width = max((w for w in widths if n // w >= BUCKETS), default=0)
                parts.append(f"{n:,}: {_chart(store, n, width):.1f}" + ("" if width else " raw"))
        print(
            f"{' / '.join(map(str, widths)):22} {cost.bytes_per_point:.2f} B a point, "
            f"{cost.settled_cpu / plain.settled_cpu:.2f} x CPU; charts of {', '.join(parts)}",
            flush=True,
        )


def _chart(store: EmbeddedStore, steps: int, width: int) -> float:
    """The first STEPS points in BUCKETS buckets, from cells of WIDTH or from points, in look-ups of
    one point."""
    where = f"run = {RUN} AND metric = {metric_ids(1)[0]} AND rank = 0 AND attempt = 1"
    position, scale = (tiers.cell(width), width) if width else ("step", 1)
    last = steps // scale
    chart = (
        f"SELECT intDiv({position}, {max(1, last // BUCKETS)}) AS bucket, {_AGGREGATES} "
        f"FROM raw_points WHERE {where} AND {position} >= 0 AND {position} < {last} "
        "GROUP BY bucket ORDER BY bucket"
    )
    reading: dict[str, Setting] = (
        {"preferred_optimize_projection_name": tiers.name(width), "force_optimize_projection": 1}
        if width
        else {"optimize_use_projections": 0}
    )
    look_up = f"SELECT value FROM raw_points WHERE {where} AND step = {steps // 2}"
    one_thread: dict[str, Setting] = {"max_threads": 1}
    return milliseconds(store, chart, None, {**reading, **one_thread}) / milliseconds(
        store, look_up, None, one_thread
    )
