"""Rollups: what a projection says is what its points say.

Both are read in one statement: once as a reader reads it, which takes the rollup of every part that
has one, and once with a condition that no rollup can answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepline_ingest.query.select import plain, select
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Param, Setting

from .finding import Finding, Kind
from .pieces import CONDITION, Piece
from .reading import RAW, Reader, writer_text

_SHOWN = 20
_SERIES_KEYS = ("run", "metric", "rank", "attempt")
_LEDGER_KEYS = ("run", "attempt", "rank", "writer")
_NAME = "SELECT any(name) FROM raw_metrics WHERE run = {run:UInt64} AND metric = {metric:UInt64}"

_EXACT = (tiers.COUNT, tiers.NONFINITE, tiers.FIRST_TIME, tiers.LAST_TIME)
# Where no value is finite these mean nothing.
_EXTREMES = (tiers.LOW, tiers.HIGH)
_ENDS = (tiers.FIRST, tiers.LAST)


@dataclass(frozen=True, slots=True)
class Rollup:
    """A projection: its keys, and the number of a cell when it has cells."""

    name: str
    keys: tuple[str, ...]
    cell: str | None = None
    steps: bool = False
    """It holds the first and the last step."""


ROLLUPS = (
    Rollup(tiers.SERIES, _SERIES_KEYS, steps=True),
    *(Rollup(tiers.name(width), _SERIES_KEYS, tiers.cell(width)) for width in tiers.WIDTHS),
)


def check_rollup(reader: Reader, rollup: Rollup, piece: Piece) -> Iterator[Finding]:
    """The groups of PIECE in which ROLLUP differs from the points."""
    sql = _comparison(rollup)
    settings = _preferring(rollup.name)
    for row in reader.rows(sql, piece.params, settings):
        found = dict(
            zip((*rollup.keys, "cell", "sides", "exact", "ends", "sums"), row, strict=True)
        )
        if not (found["sides"] or found["exact"] or found["sums"]) and _is_tie(
            reader, rollup, found
        ):
            continue
        ((name,),) = reader.rows(_NAME, {key: found[key] for key in ("run", "metric")})
        where = f", cell {found['cell']}" if rollup.cell else ""
        what = ", ".join(
            text
            for flag, text in (
                ("sides", "it is there on one side only"),
                ("exact", "counts, times or extremes differ"),
                ("ends", "the first or last value differs"),
                ("sums", "the sums differ"),
            )
            if found[flag]
        )
        yield Finding(
            kind=Kind.ROLLUP,
            message=f"projection {rollup.name} of metric {name or found['metric']}{where} does not "
            f"say what the points say: {what}",
            run=reader.run_id(found["run"]),
            attempt=found["attempt"],
            rank=found["rank"],
            rollup=rollup.name,
            about=f"{rollup.name} {found['metric']} {found['cell']}",
        )


def check_ledger(reader: Reader) -> Iterator[Finding]:
    """What the ledger says of each writer; its highest sequence is the mark."""
    aggregates = {
        "points": "count()",
        "lowest": "min(seq)",
        "highest": "max(seq)",
        "step0": "min(step)",
        "step1": "max(step)",
        "last": "max(time)",
    }
    columns = {**plain(*_LEDGER_KEYS), **aggregates}
    sides = _both("raw_points", columns, _LEDGER_KEYS, where=())
    differ = " OR ".join(f"min({name}) != max({name})" for name in aggregates)
    sql = select(
        {
            **plain(*_LEDGER_KEYS),
            "stored": "maxIf(highest, side = 0)",
            "built": "maxIf(highest, side = 1)",
            "points0": "maxIf(points, side = 0)",
            "points1": "maxIf(points, side = 1)",
        },
        sides,
        group_by=_LEDGER_KEYS,
        having=[f"(count() != 2 OR {differ})"],
        order_by=_LEDGER_KEYS,
        limit=_SHOWN,
    )
    settings = _preferring(tiers.LEDGER)
    for run, attempt, rank, writer, stored, built, points, counted in reader.rows(
        sql, settings=settings
    ):
        yield Finding(
            kind=Kind.ROLLUP if stored == built else Kind.MARK,
            message=f"projection {tiers.LEDGER} says {counted:,} points up to sequence {built:,}, "
            f"stored are {points:,} up to {stored:,}",
            run=reader.run_id(run),
            attempt=attempt,
            rank=rank,
            writer=writer_text(writer),
            rollup=tiers.LEDGER,
            about=tiers.LEDGER,
        )


def _preferring(projection: str) -> dict[str, Setting]:
    return {"optimize_use_projections": 1, "preferred_optimize_projection_name": projection}


def _comparison(rollup: Rollup) -> str:
    keys = (*rollup.keys, "cell")
    finite = "n > bad"
    exact = [*_EXACT, *((tiers.FIRST_STEP, tiers.LAST_STEP) if rollup.steps else ())]
    columns = {
        **plain(*rollup.keys),
        "cell": rollup.cell or "toInt64(0)",
        "n": tiers.COUNT,
        "bad": tiers.NONFINITE,
        "low": tiers.LOW,
        "high": tiers.HIGH,
        "exact": f"cityHash64({', '.join(exact)}, "
        + ", ".join(f"if({finite}, {column}, 0)" for column in _EXTREMES)
        + ")",
        "ends": "cityHash64("
        + ", ".join(f"if({finite}, reinterpretAsUInt64({column}), 0)" for column in _ENDS)
        + ")",
        "total": f"if({finite}, {tiers.SUM}, 0)",
        "size": f"if({finite}, n * greatest(abs({tiers.value_of('low')}), "
        f"abs({tiers.value_of('high')})), 0)",
    }
    group = (*rollup.keys, rollup.cell) if rollup.cell else rollup.keys
    sides = _both("raw_points", columns, group, where=CONDITION)
    # Sums are added in the order in which parts were merged. Where they may overflow, they may be
    # anything.
    sums = "isFinite(max(size)) AND NOT abs(max(total) - min(total)) <= 1e-9 * max(size)"
    return select(
        {
            **plain(*keys),
            "one_sided": "count() != 2",
            "exact_differs": "min(exact) != max(exact)",
            "ends_differ": "min(ends) != max(ends)",
            "sums_differ": sums,
        },
        sides,
        group_by=keys,
        having=["(one_sided OR exact_differs OR ends_differ OR sums_differ)"],
        order_by=keys,
        limit=_SHOWN,
    )


def _both(
    table: str, columns: Mapping[str, str], group: tuple[str, ...], where: tuple[str, ...]
) -> str:
    """The points (side 0) and what a reader gets (side 1)."""
    points = select({"side": "0", **columns}, table, where=(*where, RAW), group_by=group)
    built = select({"side": "1", **columns}, table, where=where, group_by=group)
    return f"({points} UNION ALL {built})"


def _is_tie(reader: Reader, rollup: Rollup, found: Mapping[str, Any]) -> bool:
    """Two writers of one rank may log the same step under the same sequence, a forked child beside
    its parent. Which of them is the first or the last is left open."""
    where = [RAW, *(f"{key} = {{{key}:UInt64}}" for key in rollup.keys), "finite"]
    params: dict[str, Param] = {key: found[key] for key in rollup.keys}
    if rollup.cell:
        where.append(f"{rollup.cell} = {{cell:Int64}}")
        params["cell"] = found["cell"]
    columns = {"order": "order_key", "n": "count()"}
    return any(
        n > 1
        for direction in ("ASC", "DESC")
        for _, n in reader.rows(
            select(
                columns,
                "raw_points",
                where=where,
                group_by=("order",),
                order_by=(f"order {direction}",),
                limit=1,
            ),
            params,
        )
    )
