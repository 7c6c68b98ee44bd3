"""The statement of a chart: one for all series that share a grid.

A branch reads raw points or tier cells and groups them by line and bucket with the expressions of
the tiers, so that the engine can answer it from the projection. A chart of several reads has a
branch for the raw ones and one for the cells, and groups by the number of the read as well: those
of a line hold disjoint steps in ascending order, so the first value of a bucket is that of its
lowest read. What several lines show is given to each of them when the branches are put together.

Planning costs the engine more than reading, and every function in the text adds to it; so the
results come packed as the tiers keep them, and buckets.py unpacks whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepline_ingest.schema import tiers

from .grid import Grid
from .plan import Piece, Read
from .select import plain, select

_AGGREGATES = {
    "points": tiers.COUNT,
    "nonfinite": tiers.NONFINITE,
    "low": tiers.LOW,
    "high": tiers.HIGH,
    "first": tiers.FIRST,
    "last": tiers.LAST,
    "total": tiers.SUM,
}
_MERGES = {
    "points": "sum(points_)",
    "nonfinite": "sum(nonfinite_)",
    "low": "minIf(low_, points_ > nonfinite_)",
    "high": "maxIf(high_, points_ > nonfinite_)",
    "first": "argMinIf(first_, read, points_ > nonfinite_)",
    "last": "argMaxIf(last_, read, points_ > nonfinite_)",
    "total": "sum(total_)",
}
"""The results of the reads put together. A read without a finite value has nothing to say but
its counts."""

_MOMENT = {"moment": tiers.FIRST_TIME}
_MERGED_MOMENT = {"moment": "min(moment_)"}
"""What a chart over time needs besides."""

Numbered = tuple[int, Read]


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]


def chart_statement(
    grid: Grid,
    reads: Sequence[Read],
    metrics: Sequence[int],
    *,
    by_rank: bool,
    rank: int | None,
    moments: bool = False,
) -> Statement:
    """Rows (line, metric[, rank], bucket, packed results) in the order of the first ones.

    RANK restricts to one rank; MOMENTS adds the time of the first point.
    """
    builder = _Builder(grid, metrics, by_rank=by_rank, rank=rank, moments=moments)
    alone = len(reads) == 1 and not reads[0].lines
    sql = builder.whole(reads[0]) if alone else builder.merged(reads)
    tier = grid.tier if any(read.piece.tier for read in reads) else 0
    return Statement(sql, builder.params, _settings(tier))


def _settings(tier: int) -> dict[str, Any]:
    # One thread: the sum of the same rows, and so the mean, is the same each time.
    if tier:
        return {"max_threads": 1, "preferred_optimize_projection_name": tiers.name(tier)}
    return {"max_threads": 1, "optimize_use_projections": 0}


class _Builder:
    def __init__(
        self,
        grid: Grid,
        metrics: Sequence[int],
        *,
        by_rank: bool,
        rank: int | None,
        moments: bool,
    ) -> None:
        self._grid = grid
        self._keys = ("metric", "rank") if by_rank else ("metric",)
        self._one_rank = rank is not None
        self._aggregates = _AGGREGATES | (_MOMENT if moments else {})
        self._merges = _MERGES | (_MERGED_MOMENT if moments else {})
        self._sent: dict[tuple[str, str], str] = {}
        self.params: dict[str, Any] = {"metrics": list(metrics)}
        if rank is not None:
            self.params["rank"] = rank

    def whole(self, read: Read) -> str:
        """The chart of one read: nothing has to be put together."""
        where, _ = self._where([(0, read)])
        columns = {"line": "run", **plain(*self._keys), "bucket": self._bucket(read.piece.tier)}
        keys = ("run", *self._keys, "bucket")
        return select(
            columns | self._aggregates, tiers.TABLE, where=where, group_by=keys, order_by=keys
        )

    def merged(self, reads: Sequence[Read]) -> str:
        entries = list(enumerate(reads))
        raw = [entry for entry in entries if not entry[1].piece.tier]
        cells = [entry for entry in entries if entry[1].piece.tier]
        branches = " UNION ALL ".join(self._branch(part) for part in (raw, cells) if part)
        keys = ("line", *self._keys, "bucket")
        columns = {"line": self._line(entries), **plain(*self._keys, "bucket"), **self._merges}
        return select(columns, f"({branches})", group_by=keys, order_by=keys)

    def _line(self, entries: Sequence[Numbered]) -> str:
        """The lines that a row of a branch is part of."""
        shared = [
            f"read = {number}, {self._param('lines', 'Array(UInt64)', list(read.lines))}"
            for number, read in entries
            if read.lines
        ]
        return f"arrayJoin(multiIf({', '.join(shared)}, [run]))" if shared else "run"

    def _branch(self, entries: Sequence[Numbered]) -> str:
        where, number = self._where(entries)
        columns = {
            **plain("run", *self._keys),
            "bucket": self._bucket(entries[0][1].piece.tier),
            "read": number,
            **{f"{name}_": expression for name, expression in self._aggregates.items()},
        }
        keys = ("run", *self._keys, "bucket", "read")
        return select(columns, tiers.TABLE, where=where, group_by=keys)

    def _where(self, entries: Sequence[Numbered]) -> tuple[list[str], str]:
        """The conditions for all of ENTRIES, and the expression that gives the number of the
        read.
        """
        conditions = [self._piece(read.piece, read.runs) for _, read in entries]
        where = ["metric IN {metrics:Array(UInt64)}"]
        where.append(f"({' OR '.join(conditions)})" if len(conditions) > 1 else conditions[0])
        if self._one_rank:
            where.append("rank = {rank:UInt32}")
        default = f"toUInt32({entries[0][0]})"
        others = [f"{c}, {n}" for (n, _), c in zip(entries[1:], conditions[1:], strict=True)]
        return where, f"multiIf({', '.join(others)}, {default})" if others else default

    def _piece(self, piece: Piece, runs: Sequence[int]) -> str:
        scale = piece.tier or 1
        step = tiers.cell(piece.tier) if piece.tier else "step"
        terms = [f"run IN {self._param('runs', 'Array(UInt64)', list(runs))}"]
        if piece.attempt is not None:
            terms.append(f"attempt = {self._param('attempt', 'UInt32', piece.attempt)}")
        first = self._param("first", "Int64", piece.from_step // scale)
        last = self._param("last", "Int64", (piece.to_step - 1) // scale)
        return " AND ".join([*terms, f"{step} >= {first}", f"{step} <= {last}"])

    def _bucket(self, tier: int) -> str:
        """The number of the bucket from 0. No step lies below the origin, so the quotient is its
        own floor.
        """
        step, scale = (tiers.cell(tier), tier) if tier else ("step", 1)
        kind = "Int128" if self._grid.wide and not tier else "Int64"
        origin = self._param("origin", kind, self._grid.origin // scale)
        width = self._param("width", kind, self._grid.width // scale)
        number = step if kind == "Int64" else f"toInt128({step})"
        return f"toUInt32(intDiv({number} - {origin}, {width}))"

    def _param(self, name: str, kind: str, value: Any) -> str:
        """A placeholder; the same value is sent once."""
        key = (f"{name}:{kind}", repr(value))
        if key not in self._sent:
            self._sent[key] = f"{name}{len(self._sent)}"
            self.params[self._sent[key]] = value
        return f"{{{self._sent[key]}:{kind}}}"
