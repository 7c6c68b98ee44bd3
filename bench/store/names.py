"""Metrics as ids with a table of names, or as strings in a dictionary column?"""

from __future__ import annotations

import json

from stepline_ingest.schema import migrate
from stepline_ingest.store.analyst import VIEW_SETTINGS

from .engine import fill, milliseconds, opened, table
from .shapes import RUN, Shape, blocks, metric_ids

SHAPES = (
    Shape("500 names", 500, 1, 200, 8),
    Shape("20,000 names", 20_000, 1, 5, 8),
)


def main() -> None:
    _writing()
    _reading()


def _writing() -> None:
    print("inserts of 100,000 points, no rollups; x ids")
    for shape in SHAPES:
        base = None
        for kind, names in (("UInt64", False), ("LowCardinality(String)", True)):
            with opened(table(projections="", metric=kind)) as store:
                cost = fill(store, list(blocks(shape, names=names)), shape.rows)
            base = base or cost
            print(
                f"{shape.name:14} {kind:24} insert {cost.insert_cpu / base.insert_cpu:.2f} x CPU, "
                f"until merges are quiet {cost.settled_cpu / base.settled_cpu:.2f} x,"
                f" {cost.bytes_per_point:.2f} B a point",
                flush=True,
            )


def _reading() -> None:
    """What a condition on names in the view costs, compared with the ids themselves."""
    shape = Shape("", 500, 1, 400, 5)
    ids = metric_ids(shape.metrics)
    with opened(table()) as store:
        migrate(store)
        fill(store, list(blocks(shape)), shape.rows)
        store.insert_rows("raw_runs", ("run", "run_id"), [(RUN, "run-7")])
        store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name"),
            [(RUN, int(id_), f"m{i}") for i, id_ in enumerate(ids)],
        )
        view = "SELECT avg(value) FROM points WHERE run = 'run-7' AND metric = 'm7'"
        by_id = f"SELECT avg(value) FROM raw_points WHERE run = {RUN} AND metric = {ids[7]}"
        base = milliseconds(store, by_id)
        print(f"one series of {shape.rows * shape.blocks:,} points; x the same by ids")
        for name, sql, settings in (
            ("by ids", by_id, {}),
            ("view, pruned by the names", view, VIEW_SETTINGS),
            ("view, not pruned", view, {"enable_join_runtime_filters_index_analysis": 0}),
        ):
            answer = json.loads(store.query_raw(sql, "JSON", None, settings, readonly=False))
            read = answer["statistics"]["rows_read"]
            took = milliseconds(store, sql, None, dict(settings))
            print(f"{name:28} {took / base:5.2f} x time, {read:>9,} rows read", flush=True)
