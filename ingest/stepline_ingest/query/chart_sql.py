"""The statements of a chart: one for the cells of all series that share a grid, one for the points.

Planning costs the engine more than reading, and every function in the text adds to it; so results
come packed as the tiers keep them, columns that have one value are left out, and what different
statements find is put together outside (cells.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepline_ingest.lineage import STEP_END, STEP_MIN
from stepline_ingest.schema import tiers
from stepline_ingest.store.expired import KEPT, Fills, among

from .expired_series import RESULTS, TABLE
from .grid import Grid
from .plan import Piece, Read
from .request import ARGNONFINITE
from .select import plain, select
from .tier_table import Projection

_RESULTS = {
    "points": tiers.COUNT,
    "nonfinite": tiers.NONFINITE,
    "low": tiers.LOW,
    "high": tiers.HIGH,
    "first": tiers.FIRST,
    "last": tiers.LAST,
    "total": tiers.SUM,
    "moment": tiers.FIRST_TIME,
}
_NEEDED = {
    "min": ("low",),
    "argmin": ("low",),
    "max": ("high",),
    "argmax": ("high",),
    # See means.py.
    "mean": ("total", "low", "high"),
    "first": ("first",),
    "last": ("last",),
}
"""The results that a column is made from; all need the counts."""

_KEYS = ("run", "metric", "rank", "attempt", "cell")
PART = "CAST(cityHash64(_part), 'UInt64')"
"""The number of the part that a row lies in."""

Numbered = tuple[int, Read]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the statements of one panel have in common."""

    grid: Grid
    metrics: Sequence[int]
    by_rank: bool
    ranks: Sequence[int] | None
    """The only ones that are read."""
    whole: bool
    """Nothing that is stored of the series lies outside the grid."""
    results: frozenset[str]
    """What of _RESULTS is needed."""

    def holds_all(self, piece: Piece) -> bool:
        """Whether a condition on the steps of PIECE would cut nothing off but what is newer than
        the plan, which its bucket tells as well; so there is none."""
        covers = piece.from_step <= self.grid.origin and self.grid.end <= piece.to_step
        return bool(piece.tier) and covers and self.whole


def results_for(columns: Iterable[str], *, moments: bool) -> frozenset[str]:
    """What is read for COLUMNS of a chart; with MOMENTS for one over time."""
    needed = {result for column in columns for result in _NEEDED.get(column, ())}
    return frozenset({"points", "nonfinite", *(["moment"] if moments else []), *needed})


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    constants: Mapping[str, int]
    """Columns that have one value and are left out of the result."""


def cells_statement(wanted: Wanted, reads: Sequence[Numbered], threads: int = 1) -> Statement:
    """Rows (run, metric, rank, read, bucket, packed results) in any order; a read may have several
    rows of a bucket. READS are all of cells or all of points.

    Buckets may lie outside of the grid and are to be dropped then.
    """
    tier = reads[0][1].piece.tier
    names = plain(*_KEYS[:4]) | {"cell": tiers.cell(tier) if tier else "step"}
    builder = _Builder(wanted, reads, names)
    keys = builder.keys | {"bucket": builder.bucket()}
    aggregates = {name: _RESULTS[name] for name in _RESULTS if name in wanted.results}
    sql = select(keys | aggregates, tiers.TABLE, where=builder.where(), group_by=tuple(keys))
    return Statement(sql, builder.params, _settings(tier, threads), builder.constants)


def loose_statement(wanted: Wanted, reads: Sequence[Numbered], table: Projection) -> Statement:
    """The same for READS that are all of cells, from their projection, with a row for each cell of
    each part. That costs the engine a fraction of grouping them where there are about as many
    buckets."""
    builder = _Builder(wanted, reads, dict(zip(_KEYS, table.keys, strict=True)))
    results = {name: table.loose_results[_RESULTS[name]] for name in _RESULTS}
    columns = {name: one for name, one in results.items() if name in wanted.results}
    keys = builder.keys | {"bucket": builder.bucket()}
    sql = select(keys | columns, table.table, where=builder.where())
    return Statement(sql, builder.params, _settings(0), builder.constants)


@dataclass(frozen=True, slots=True)
class Some:
    """Rows of some parts only: of those with NAMES, or of all others."""

    names: Sequence[str]
    others: bool = False


def tier_statement(
    wanted: Wanted,
    reads: Sequence[Numbered],
    table: Projection | None,
    threads: int,
    *,
    loose: bool,
    some: Some | None = None,
) -> Statement:
    """Rows (run, metric, rank, read, cell, packed results) in any order; READS are all of cells.
    From TABLE, LOOSE, a row for each cell of each part, with the number `part` where first or last
    is wanted, which may lie in either of two. Without TABLE from points, with `begin` and `end`,
    the first and the last step of a cell, where SOME parts are left to be read so.

    Grouped, and with first or last wanted, only the engine knows which of several ranks was first.
    """
    tier = reads[0][1].piece.tier
    names = plain(*_KEYS[:4]) | {"cell": tiers.cell(tier)}
    if table:
        names = dict(zip(_KEYS, table.keys, strict=True))
    builder = _Builder(wanted, reads, names)
    aggregates = {name: _RESULTS[name] for name in _RESULTS if name in wanted.results}
    if table:
        results = table.loose_results if loose else table.results
        aggregates = {name: results[one] for name, one in aggregates.items()}
    elif some:
        aggregates |= {"begin": tiers.FIRST_STEP, "end": tiers.LAST_STEP}
    keys = builder.keys | {"cell": names["cell"]}
    part = {"part": PART} if loose and {"first", "last"} & aggregates.keys() else {}
    sql = select(
        keys | aggregates | part,
        table.table if table else tiers.TABLE,
        where=[*builder.where(), *builder.parts(some)],
        group_by=() if loose else tuple(keys),
    )
    through_projection = tier if table is None and some is None else 0
    return Statement(sql, builder.params, _settings(through_projection, threads), builder.constants)


def ranges_statement(
    wanted: Wanted, reads: Sequence[Numbered], table: Projection, some: Some | None
) -> Statement:
    """Rows (run, metric, rank, attempt, part, begin, end): the first and the last step that a
    series has in a part. TABLE is that of the series."""
    runs = sorted({run for _, read in reads for run in read.runs})
    names = dict(zip(_KEYS, table.keys, strict=False)) | {"cell": ""}
    whole = [(0, Read(Piece(None, STEP_MIN, STEP_END, 0), tuple(runs)))]
    builder = _Builder(wanted, whole, names, bounded=False)
    columns = {
        **{key: names[key] for key in _KEYS[:4]},
        "part": PART,
        "begin": table.loose_results[tiers.FIRST_STEP],
        "end": table.loose_results[tiers.LAST_STEP],
    }
    sql = select(columns, table.table, where=[*builder.where(), *builder.parts(some)])
    return Statement(sql, builder.params, _settings(0), {})


def points_statement(wanted: Wanted, reads: Sequence[Numbered]) -> Statement:
    """Rows (run, metric, rank, read, step, seq, value[, time]) in any order."""
    builder = _Builder(wanted, reads, plain(*_KEYS[:4]) | {"cell": "step"})
    columns = builder.keys | plain(
        "step", "seq", "value", *(["time"] if "moment" in wanted.results else [])
    )
    sql = select(columns, tiers.TABLE, where=builder.where())
    return Statement(sql, builder.params, _settings(0), builder.constants)


@dataclass(frozen=True, slots=True)
class Sum:
    """Finite values that are to be added up exactly: all of READS, which are of points."""

    reads: Sequence[Read]
    metric: int
    ranks: Sequence[int] | None
    magnitude: float
    """None is larger."""

    @property
    def scale(self) -> int:
        """The sum comes in units of 2^-scale. It is exact to 90 bits of MAGNITUDE, and so does not
        depend on any order: every value is rounded by itself.
        """
        return 90 - math.frexp(self.magnitude)[1]


def sums_statement(sums: Sequence[Sum]) -> Statement:
    """Rows (number, sum) for each of SUMS that has a point."""
    params: dict[str, Any] = {}
    conditions = []
    for number, one in enumerate(sums):
        only = Wanted(_ANY, [one.metric], False, one.ranks, False, frozenset())
        names = plain(*_KEYS[:4]) | {"cell": "step"}
        builder = _Builder(only, list(enumerate(one.reads)), names, prefix=f"s{number}_")
        conditions.append(f"({' AND '.join(builder.where())})")
        params |= builder.params
    # In two factors: one alone may be beyond a double.
    halves = [(one.scale // 2, -(-one.scale // 2)) for one in sums]
    params["low"] = [math.ldexp(1.0, low) for low, _ in halves]
    params["high"] = [math.ldexp(1.0, high) for _, high in halves]
    pairs = [f"{condition}, {place}" for place, condition in enumerate(conditions[:-1])]
    place = f"multiIf({', '.join(pairs)}, {len(pairs)})" if pairs else "0"
    factors = "{low:Array(Float64)}[number + 1] * {high:Array(Float64)}[number + 1]"
    sql = select(
        {"number": f"toUInt32({place})", "total": f"sum(toInt128(value * {factors}))"},
        tiers.TABLE,
        where=[f"({' OR '.join(conditions)})", "isFinite(value)"],
        group_by=("number",),
    )
    return Statement(sql, params, _settings(0), {})


def nonfinite_statement(wanted: Wanted, reads: Sequence[Numbered]) -> Statement:
    """Rows (run, metric, rank, read, bucket, argnonfinite) of the buckets with a nonfinite value:
    the step of the first one."""
    builder = _Builder(wanted, reads, plain(*_KEYS[:4]) | {"cell": "step"})
    keys = builder.keys | {"bucket": builder.bucket()}
    sql = select(
        keys | {ARGNONFINITE: tiers.FIRST_STEP},
        tiers.TABLE,
        where=[*builder.where(), "NOT isFinite(value)"],
        group_by=tuple(keys),
    )
    return Statement(sql, builder.params, _settings(0), builder.constants)


def kept_statement(
    wanted: Wanted, reads: Sequence[Numbered], width: int, fills: Fills
) -> Statement:
    """Rows (run, metric, rank, read, bucket, RESULTS of expired_series.py) of what is kept of
    expired points, from cells of WIDTH steps; a read may have several rows of a bucket. A cell
    belongs to the read, and to the bucket, of its first step.
    """
    whole = [(number, replace(read, piece=replace(read.piece, tier=0))) for number, read in reads]
    builder = _Builder(wanted, whole, plain(*_KEYS[:4]) | {"cell": "first_step"})
    condition, numbers = among(fills)
    keys = builder.keys | {"bucket": builder.bucket()}
    sql = select(
        keys | RESULTS,
        TABLE,
        where=[condition, "width = {width:UInt32}", *builder.where()],
        group_by=tuple(keys),
    )
    params = {**builder.params, **numbers, "width": width}
    return Statement(sql, params, KEPT, builder.constants)


def ends_statement(wanted: Wanted, reads: Sequence[Numbered]) -> Statement:
    """Rows (run, metric, rank, read, bucket, head_key, tail_key) of the points: where in the order
    of logging the first and the last finite one lie."""
    builder = _Builder(wanted, reads, plain(*_KEYS[:4]) | {"cell": "step"})
    keys = builder.keys | {"bucket": builder.bucket()}
    sql = select(
        keys | {"head_key": "min(order_key)", "tail_key": "max(order_key)"},
        tiers.TABLE,
        where=[*builder.where(), "isFinite(value)"],
        group_by=tuple(keys),
    )
    return Statement(sql, builder.params, _settings(0), builder.constants)


def _settings(tier: int, threads: int = 1) -> dict[str, Any]:
    chosen: dict[str, Any] = {"max_threads": threads, "enable_multiple_prewhere_read_steps": 0}
    if tier:
        return chosen | {"preferred_optimize_projection_name": tiers.name(tier)}
    return chosen | {"optimize_use_projections": 0}


_ANY = Grid(0, 1, 1, 0)
"""Of statements that have no buckets."""


class _Builder:
    """The clauses of a statement over a table whose columns are called NAMES; its parameters have
    names that begin with PREFIX. Not BOUNDED: rows of all steps.
    """

    def __init__(
        self,
        wanted: Wanted,
        reads: Sequence[Numbered],
        names: Mapping[str, str],
        *,
        prefix: str = "",
        bounded: bool = True,
    ) -> None:
        self._bounded = bounded
        self._wanted = wanted
        self._prefix = prefix
        self._reads = reads
        self._names = names
        self._scale = reads[0][1].piece.tier or 1
        self._sent: dict[tuple[str, str], str] = {}
        self.params: dict[str, Any] = {}
        runs = {run for _, read in reads for run in read.runs}
        self.constants: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self._key("run", names["run"], *runs)
        self._key("metric", names["metric"], *wanted.metrics)
        self._conditions = [self._read(read) for _, read in reads]
        if wanted.by_rank:
            self.keys["rank"] = names["rank"]
        else:
            self.constants["rank"] = 0
        self._key("read", self._number(), *(number for number, _ in reads))

    def _key(self, name: str, expression: str, *values: int) -> None:
        if len(values) == 1:
            self.constants[name] = values[0]
        else:
            self.keys[name] = expression

    def where(self) -> list[str]:
        metric = self._among("metric", "metrics", list(self._wanted.metrics))
        joined = " OR ".join(self._conditions)
        where = [metric, f"({joined})" if len(self._conditions) > 1 else joined]
        ranks = self._wanted.ranks
        if ranks is not None and len(ranks) == 1:
            where.append(f"{self._names['rank']} = {self._param('rank', 'UInt32', ranks[0])}")
        elif ranks is not None:
            among = self._param("ranks", "Array(UInt32)", list(ranks))
            where.append(f"{self._names['rank']} IN {among}")
        return where

    def parts(self, some: Some | None) -> list[str]:
        if some is None:
            return []
        names = self._param("parts", "Array(String)", list(some.names))
        return [f"_part {'NOT IN' if some.others else 'IN'} {names}"]

    def bucket(self) -> str:
        """The number of the bucket from 0, as far as it is not negative."""
        grid, step = self._wanted.grid, self._names["cell"]
        wide = grid.wide and self._scale == 1
        kind = "Int128" if wide else "Int64"
        width = grid.width // self._scale
        # Division rounds towards zero: moved by one width, so that what lies below the grid does
        # not fall into its first bucket.
        origin = self._param("origin", kind, grid.origin // self._scale - width)
        number = f"toInt128({step})" if wide else step
        return f"toInt64(intDiv({number} - {origin}, {self._param('width', kind, width)})) - 1"

    def _number(self) -> str:
        """The number of the read that a row belongs to."""
        (first, _), *others = self._reads
        pairs = [f"{c}, {n}" for (n, _), c in zip(others, self._conditions[1:], strict=True)]
        return f"multiIf({', '.join(pairs)}, {first})" if pairs else str(first)

    def _read(self, read: Read) -> str:
        piece = read.piece
        terms = [self._among("run", "runs", list(read.runs))]
        if piece.attempt is not None:
            attempt = self._param("attempt", "UInt32", piece.attempt)
            terms.append(f"{self._names['attempt']} = {attempt}")
        if self._bounded and not self._wanted.holds_all(piece):
            first = self._param("first", "Int64", piece.from_step // self._scale)
            last = self._param("last", "Int64", (piece.to_step - 1) // self._scale)
            step = self._names["cell"]
            terms += [f"{step} >= {first}", f"{step} <= {last}"]
        return " AND ".join(terms)

    def _among(self, key: str, name: str, values: Sequence[int]) -> str:
        column = self._names[key]
        if len(values) == 1:
            return f"{column} = {self._param(key, 'UInt64', values[0])}"
        return f"{column} IN {self._param(name, 'Array(UInt64)', values)}"

    def _param(self, name: str, kind: str, value: Any) -> str:
        """A placeholder; the same value is sent once."""
        key = (f"{name}:{kind}", repr(value))
        if key not in self._sent:
            self._sent[key] = f"{self._prefix}{name}{len(self._sent)}"
            self.params[self._sent[key]] = value
        return f"{{{self._sent[key]}:{kind}}}"
