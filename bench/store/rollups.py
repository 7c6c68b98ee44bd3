"""Rollups built by the INSERT or by the first merge?"""

from __future__ import annotations

from .engine import fill, opened, table
from .shapes import Shape, blocks

SHAPES = (
    Shape("50 metrics x 512 ranks x 5 steps", 50, 512, 5, 12),
    Shape("20,000 metrics x 1 rank x 5 steps", 20_000, 1, 5, 12),
    Shape("500 metrics x 8 ranks x 25 steps", 500, 8, 25, 12),
    Shape("5 metrics x 1 rank x 40,000 steps", 5, 1, 40_000, 8),
)
VARIANTS = {
    "none": table(projections=""),
    "by the insert": table(on_insert=True),
    "by the merge": table(),
}


def main() -> None:
    print("inserts of 100,000 to 200,000 points; x the table without rollups")
    for shape in SHAPES:
        data = list(blocks(shape))
        base = None
        for name, ddl in VARIANTS.items():
            with opened(ddl) as store:
                cost = fill(store, data, shape.rows)
            base = base or cost
            print(
                f"{shape.name:36} {name:14} insert {cost.insert_cpu / base.insert_cpu:5.2f} x CPU,"
                f" {cost.wall / base.wall:5.2f} x time; until merges are quiet"
                f" {cost.settled_cpu / base.settled_cpu:5.2f} x CPU;"
                f" {cost.bytes_per_point:.2f} B a point",
                flush=True,
            )
