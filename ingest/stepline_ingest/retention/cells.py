"""Writes what is kept of a month: cells, series, marks.

The finest cells are made from the points themselves, not from their rollups, so that a rollup that
is wrong is not kept for ever; coarser ones from them. All of it goes piece by piece: a statement
that dies with its process, or that has to be waited for at the end, is a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stepline_ingest.doctor.pieces import Piece, cut
from stepline_ingest.query.blocks import rows
from stepline_ingest.query.select import plain, select
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store

from .cuts import Cuts, read_cuts, stretch_of

FINEST = tiers.WIDTHS[0]
SERIES = 0
"""The width of the row of a whole series."""
PIECE_POINTS = 20_000_000
_CUT_RUNS = 20
"""Runs with cuts that one statement knows the cuts of."""

_KEYS = ("run", "metric", "rank", "attempt")
_COLUMNS = (
    "fill",
    "width",
    *_KEYS,
    "stretch",
    "n",
    "bad",
    "bad_step",
    "low_key",
    "high_key",
    "first_key",
    "first",
    "last_key",
    "last",
    "total",
    "first_time",
    "last_time",
    "first_step",
    "last_step",
)
_OF_POINTS = (
    tiers.COUNT,
    tiers.NONFINITE,
    "minIf(step, NOT finite)",
    tiers.LOW,
    tiers.HIGH,
    "minIf(order_key, finite)",
    tiers.FIRST,
    "maxIf(order_key, finite)",
    tiers.LAST,
    tiers.SUM,
    tiers.FIRST_TIME,
    tiers.LAST_TIME,
    tiers.FIRST_STEP,
    tiers.LAST_STEP,
)
_OF_CELLS = (
    "sum(n)",
    "sum(bad)",
    "minIf(bad_step, bad > 0)",
    "minIf(low_key, n > bad)",
    "maxIf(high_key, n > bad)",
    "minIf(first_key, n > bad)",
    "argMinIf(first, first_key, n > bad)",
    "maxIf(last_key, n > bad)",
    "argMaxIf(last, last_key, n > bad)",
    "sumIf(total, n > bad)",
    "min(first_time)",
    "max(last_time)",
    "min(first_step)",
    "max(last_step)",
)
_SIZES = select(
    {**plain("run", "metric"), "points": "count()"},
    tiers.TABLE,
    where=["_partition_id = {month:String}"],
    group_by=("run", "metric"),
    order_by=("run", "metric"),
)
_LIMITS: dict[str, Setting] = {
    "optimize_use_projections": 0,
    "optimize_aggregation_in_order": 1,
    "max_bytes_before_external_group_by": 1 << 30,
    "max_memory_usage": 4 << 30,
    # Reading and writing points comes first.
    "max_threads": 1,
    "async_insert": 0,
    "insert_deduplicate": 0,
}


class Stopped(Exception):
    """The process ends: the fill is given up."""


def write_rows(
    store: Store,
    fill: int,
    month: int,
    *,
    between: Callable[[], None] = lambda: None,
    piece_points: int = PIECE_POINTS,
) -> None:
    """Writes what is kept of MONTH under the number FILL. BETWEEN is called before each piece; what
    it raises comes out. Raises StoreError."""
    pieces = _pieces(store, month, piece_points)
    for piece in pieces:
        between()
        for statement in _statements(fill, month, piece, _cuts(store, month, piece)):
            store.command(statement, _LIMITS, points=False)


def _pieces(store: Store, month: int, limit: int) -> list[Piece]:
    blocks = store.stream_native(
        _SIZES, {"month": str(month)}, {"preferred_optimize_projection_name": tiers.SERIES}
    )
    return list(cut(((run, metric, size) for run, metric, size in rows(blocks)), limit))


def _cuts(store: Store, month: int, piece: Piece) -> Cuts:
    sql = select(
        plain("run"),
        tiers.TABLE,
        where=[_of_month(month), *_within(piece)],
        group_by=("run",),
        order_by=("run",),
    )
    runs = [
        run
        for (run,) in rows(
            store.stream_native(sql, {}, {"preferred_optimize_projection_name": tiers.SERIES})
        )
    ]
    return read_cuts(store, runs)


def _statements(fill: int, month: int, piece: Piece, cuts: Cuts) -> Iterator[str]:
    cut_runs = sorted({run for run, _ in cuts})
    rest = [f"run NOT IN ({_listed(cut_runs)})"] if cut_runs else []
    yield _from_points(fill, month, [*_within(piece), *rest], {})
    for begin in range(0, len(cut_runs), _CUT_RUNS):
        mine = cut_runs[begin : begin + _CUT_RUNS]
        known = {place: steps for place, steps in cuts.items() if place[0] in mine}
        yield _from_points(fill, month, [*_within(piece), f"run IN ({_listed(mine)})"], known)
    for width in (*tiers.WIDTHS[1:], SERIES):
        yield _from_cells(fill, width, _within(piece))
    yield _marks(fill, month, _within(piece))


def _from_points(fill: int, month: int, where: Sequence[str], cuts: Cuts) -> str:
    stretch = stretch_of(cuts)
    keys = (*_KEYS, tiers.cell(FINEST), *([stretch] if cuts else []))
    made = (str(fill), str(FINEST), *_KEYS, stretch, *_OF_POINTS)
    found = _select(made, tiers.TABLE, [_of_month(month), *where], keys)
    return f"INSERT INTO raw_cells ({', '.join(_COLUMNS)}) {found}"


def _from_cells(fill: int, width: int, where: Sequence[str]) -> str:
    cell = (f"bitShiftRight(first_step, {width.bit_length() - 1})",) if width else ()
    made = (str(fill), str(width), *_KEYS, "stretch", *_OF_CELLS)
    finest = [f"fill = {fill}", f"width = {FINEST}"]
    found = _select(made, "raw_cells", [*finest, *where], (*_KEYS, "stretch", *cell))
    return f"INSERT INTO raw_cells ({', '.join(_COLUMNS)}) {found}"


def _marks(fill: int, month: int, where: Sequence[str]) -> str:
    keys = ("run", "attempt", "rank", "writer")
    counted = ("count()", "min(seq)", "max(seq)", "groupBitmapState(seq)")
    found = _select((str(fill), *keys, *counted), tiers.TABLE, [_of_month(month), *where], keys)
    columns = ", ".join(("fill", *keys, "points", "first_seq", "last_seq", "seqs"))
    return f"INSERT INTO raw_marks ({columns}) {found}"


def _select(made: Sequence[str], table: str, where: Sequence[str], keys: Sequence[str]) -> str:
    """Columns by their place: names of what is made would hide those of the table."""
    listed = {f"c{number}": expression for number, expression in enumerate(made)}
    return select(listed, table, where=where, group_by=keys)


def _of_month(month: int) -> str:
    return f"_partition_id = '{int(month)}'"


def _within(piece: Piece) -> tuple[str, ...]:
    # Numbers of our own: what changes the store takes no parameters.
    return (
        f"run BETWEEN {piece.first_run} AND {piece.last_run}",
        f"metric BETWEEN {piece.first_metric} AND {piece.last_metric}",
    )


def _listed(runs: Sequence[int]) -> str:
    return ", ".join(map(str, runs))
