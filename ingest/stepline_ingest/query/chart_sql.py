"""The statement of a chart: one for all series that share a grid.

A branch reads raw points or tier cells and groups them by line and bucket with the expressions of
the tiers, so that the engine can answer it from the projection. A chart of several pieces has a
branch for the raw ones and one for the cells, and groups by the number of the piece as well:
pieces hold disjoint steps in ascending order, so the first value of a bucket is that of its lowest
piece.

Planning costs the engine more than reading, and every function in the text adds to it; so the
results come packed as the tiers keep them, and buckets.py unpacks whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepline_ingest.schema import tiers

from .grid import Grid
from .plan import Piece, Reads
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
    "first": "argMinIf(first_, piece, points_ > nonfinite_)",
    "last": "argMaxIf(last_, piece, points_ > nonfinite_)",
    "total": "sum(total_)",
}
"""The results of the pieces put together. A piece without a finite value has nothing to say but
its counts."""

_MOMENT = {"moment": tiers.FIRST_TIME}
_MERGED_MOMENT = {"moment": "min(moment_)"}
"""What a chart over time needs besides."""

Numbered = tuple[int, Piece, list[int]]
"""The number of a piece within its run, the piece, the runs that it is read for."""


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]


def chart_statement(
    grid: Grid,
    reads: Reads,
    metrics: Sequence[int],
    *,
    by_rank: bool,
    rank: int | None,
    moments: bool = False,
) -> Statement:
    """Rows (run, metric[, rank], bucket, packed results) in the order of the first ones.

    READS gives the runs of each list of pieces; RANK restricts to one rank; MOMENTS adds the time
    of the first point.
    """
    entries = [(n, piece, runs) for plan, runs in reads.items() for n, piece in enumerate(plan)]
    builder = _Builder(grid, metrics, by_rank=by_rank, rank=rank, moments=moments)
    sql = builder.whole(entries[0]) if len(entries) == 1 else builder.merged(entries)
    tier = grid.tier if any(piece.tier for _, piece, _ in entries) else 0
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
        self._keys = ("run", "metric", "rank") if by_rank else ("run", "metric")
        self._one_rank = rank is not None
        self._aggregates = _AGGREGATES | (_MOMENT if moments else {})
        self._merges = _MERGES | (_MERGED_MOMENT if moments else {})
        self._sent: dict[tuple[str, str], str] = {}
        self.params: dict[str, Any] = {"metrics": list(metrics)}
        if rank is not None:
            self.params["rank"] = rank

    def whole(self, entry: Numbered) -> str:
        """The chart of one piece: nothing has to be put together."""
        where, _ = self._where([entry])
        keys = (*self._keys, "bucket")
        columns = {**plain(*self._keys), "bucket": self._bucket(entry[1].tier)}
        columns |= self._aggregates
        return select(columns, tiers.TABLE, where=where, group_by=keys, order_by=keys)

    def merged(self, entries: Sequence[Numbered]) -> str:
        raw = [entry for entry in entries if not entry[1].tier]
        cells = [entry for entry in entries if entry[1].tier]
        branches = " UNION ALL ".join(self._branch(part) for part in (raw, cells) if part)
        keys = (*self._keys, "bucket")
        columns = {**plain(*keys), **self._merges}
        return select(columns, f"({branches})", group_by=keys, order_by=keys)

    def _branch(self, entries: Sequence[Numbered]) -> str:
        where, number = self._where(entries)
        columns = {
            **plain(*self._keys),
            "bucket": self._bucket(entries[0][1].tier),
            "piece": number,
            **{f"{name}_": expression for name, expression in self._aggregates.items()},
        }
        keys = (*self._keys, "bucket", "piece")
        return select(columns, tiers.TABLE, where=where, group_by=keys)

    def _where(self, entries: Sequence[Numbered]) -> tuple[list[str], str]:
        """The conditions for all of ENTRIES, and the expression that gives the number of the
        piece.
        """
        conditions = [self._piece(piece, runs) for _, piece, runs in entries]
        where = ["metric IN {metrics:Array(UInt64)}"]
        where.append(f"({' OR '.join(conditions)})" if len(conditions) > 1 else conditions[0])
        if self._one_rank:
            where.append("rank = {rank:UInt32}")
        default = f"toUInt32({entries[0][0]})"
        others = [f"{c}, {n}" for (n, _, _), c in zip(entries[1:], conditions[1:], strict=True)]
        return where, f"multiIf({', '.join(others)}, {default})" if others else default

    def _piece(self, piece: Piece, runs: list[int]) -> str:
        scale = piece.tier or 1
        step = tiers.cell(piece.tier) if piece.tier else "step"
        among = self._param("runs", "Array(UInt64)", runs)
        attempt = self._param("attempt", "UInt32", piece.attempt)
        first = self._param("first", "Int64", piece.from_step // scale)
        last = self._param("last", "Int64", (piece.to_step - 1) // scale)
        terms = (
            f"run IN {among}",
            f"attempt = {attempt}",
            f"{step} >= {first}",
            f"{step} <= {last}",
        )
        return " AND ".join(terms)

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
