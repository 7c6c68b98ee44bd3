"""Doubles: (writer, sequence, metric) names one point for ever."""

from __future__ import annotations

from collections.abc import Iterator

from stepline_ingest.query.select import plain, select

from .finding import Finding, Kind
from .pieces import CONDITION, Piece
from .reading import RAW, Reader, writer_text

_SERIES = ("run", "metric", "rank", "attempt", "writer")
_BLOCK = 1 << 16
_SHOWN = 20
"""Series of a piece that are named."""

_DOUBLED = select(
    {**plain(*_SERIES), "points": "count()", "sequences": "groupBitmap(seq)"},
    "raw_points",
    where=(RAW, *CONDITION),
    group_by=_SERIES,
    having=["points != sequences"],
    order_by=_SERIES,
    limit=_SHOWN,
)
_OF_SERIES = (
    RAW,
    "run = {run:UInt64}",
    "metric = {metric:UInt64}",
    "rank = {rank:UInt32}",
    "attempt = {attempt:UInt32}",
    "writer = {writer:UInt128}",
)
_WHERE = select(
    {"block": f"intDiv(seq, {_BLOCK})", "points": "count()", "sequences": "groupBitmap(seq)"},
    "raw_points",
    where=_OF_SERIES,
    group_by=("block",),
    having=["points != sequences"],
    order_by=("block",),
    limit=1,
)
_WHICH = select(
    {**plain("seq"), "times": "count()", "values": "uniqExact(step, time, value)"},
    "raw_points",
    where=(*_OF_SERIES, f"intDiv(seq, {_BLOCK}) = {{block:UInt64}}"),
    group_by=("seq",),
    having=["times > 1"],
    order_by=("seq",),
    limit=3,
)
_NAME = "SELECT any(name) FROM raw_metrics WHERE run = {run:UInt64} AND metric = {metric:UInt64}"


def check_doubles(reader: Reader, piece: Piece) -> Iterator[Finding]:
    """The series of PIECE in which a sequence occurs more than once."""
    for row in reader.rows(_DOUBLED, piece.params):
        series = dict(zip(_SERIES, row, strict=False))
        points, sequences = row[len(_SERIES) :]
        ((block, _, _),) = reader.rows(_WHERE, series)
        which = reader.rows(_WHICH, {**series, "block": block})
        ((name,),) = reader.rows(_NAME, {k: series[k] for k in ("run", "metric")})
        examples = ", ".join(
            f"{seq} {times} times{' with different contents' if kinds > 1 else ''}"
            for seq, times, kinds in which
        )
        yield Finding(
            kind=Kind.DOUBLE,
            message=f"metric {name or series['metric']}: {points - sequences:,} of {points:,} "
            f"rows repeat a sequence: {examples}",
            run=reader.run_id(series["run"]),
            attempt=series["attempt"],
            rank=series["rank"],
            writer=writer_text(series["writer"]),
            first_seq=which[0][0] if which else None,
            last_seq=which[-1][0] if which else None,
            about=str(series["metric"]),
        )
