"""Names and references: ids are hashes of names, and whatever is referred to is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepline_ingest.query.select import plain, select

from .finding import Finding, Kind
from .pieces import CONDITION, Piece
from .reading import RAW, Reader, writer_text

_SHOWN = 20

_UNNAMED = select(
    {"run": "run", "metric": "metric", "points": "count()"},
    "raw_points",
    where=(
        RAW,
        *CONDITION,
        f"(run, metric) NOT IN ({select(plain('run', 'metric'), 'raw_metrics', where=CONDITION)})",
    ),
    group_by=("run", "metric"),
    order_by=("run", "metric"),
    limit=_SHOWN,
)
_STRAY_WRITERS = select(
    {
        "writer": "writer",
        "run": "run",
        "attempt": "attempt",
        "rank": "rank",
        "points": "count()",
        "attempt_known": "(run, attempt) IN (SELECT run, attempt FROM raw_attempts)",
        "run_known": "run IN (SELECT run FROM raw_runs)",
        "writer_known": "(writer, run, attempt, rank) IN "
        "(SELECT writer, run, attempt, rank FROM raw_writers)",
    },
    "raw_points",
    where=[RAW],
    group_by=("writer", "run", "attempt", "rank"),
    having=["NOT (attempt_known AND run_known AND writer_known)"],
    order_by=("run", "attempt", "rank", "writer"),
    limit=_SHOWN,
)
_SHARED = select(
    {
        "writer": "writer",
        "places": "arraySort(groupUniqArray(concat('run ', toString(run), ' attempt ', "
        "toString(attempt), ' rank ', toString(rank))))",
    },
    "(SELECT writer, run, attempt, rank FROM raw_points WHERE received >= toDateTime(0) "
    "GROUP BY writer, run, attempt, rank "
    "UNION ALL SELECT writer, run, attempt, rank FROM raw_writers "
    "UNION ALL SELECT writer, run, attempt, rank FROM raw_marks "
    "UNION ALL SELECT writer, run, attempt, rank FROM raw_rejects)",
    group_by=("writer",),
    having=["length(places) > 1"],
    order_by=("writer",),
    limit=_SHOWN,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A small table in which no row must match."""

    kind: Kind
    sql: str
    message: str
    """Filled with the columns after the first, which is the run."""


_RULES = (
    Rule(
        Kind.NAME,
        "SELECT run, name, metric FROM raw_metrics WHERE sipHash64(name) != metric "
        "ORDER BY run, metric LIMIT 20",
        "the name {0!r} stands for metric #{1}, which is not its hash",
    ),
    Rule(
        Kind.NAME,
        "SELECT run, run_id FROM raw_runs WHERE sipHash64(run_id) != run ORDER BY run LIMIT 20",
        "the run id {0!r} stands for a number that is not its hash",
    ),
    Rule(
        Kind.NAME,
        "SELECT run, run_id, writer FROM raw_writers "
        "WHERE sipHash64(run_id) != run ORDER BY run, writer LIMIT 20",
        "writer {1:032x} is entered under the run id {0!r}, which is not this run",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, count() FROM raw_metrics WHERE run NOT IN (SELECT run FROM raw_runs) "
        "GROUP BY run ORDER BY run LIMIT 20",
        "{0:,} metrics have names, but there is no such run",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, attempt, count() FROM raw_writers "
        "WHERE (run, attempt) NOT IN (SELECT run, attempt FROM raw_attempts) "
        "GROUP BY run, attempt ORDER BY run, attempt LIMIT 20",
        "{1:,} writers belong to attempt {0}, which is not there",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, attempt, rank FROM raw_finishes "
        "WHERE (run, attempt) NOT IN (SELECT run, attempt FROM raw_attempts) "
        "ORDER BY run, attempt, rank LIMIT 20",
        "rank {1} of attempt {0} has ended, but there is no such attempt",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, run_id FROM raw_runs WHERE run NOT IN (SELECT run FROM raw_attempts) "
        "ORDER BY run LIMIT 20",
        "the run has no attempt",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, uniqExact(attempt) AS n, max(attempt) FROM raw_attempts "
        "WHERE run IN (SELECT run FROM raw_runs) "
        "GROUP BY run HAVING n != max(attempt) OR min(attempt) != 1 ORDER BY run LIMIT 20",
        "{0:,} attempts are there, numbered up to {1}; they count from 1 without a hole",
    ),
    Rule(
        Kind.NAME,
        "SELECT run, metric, sum(n) FROM raw_kept WHERE width = 0 "
        "AND (run, metric) NOT IN (SELECT run, metric FROM raw_metrics) "
        "GROUP BY run, metric ORDER BY run, metric LIMIT 20",
        "metric #{0} has {1:,} expired points and no name",
    ),
    Rule(
        Kind.REFERENCE,
        "SELECT run, writer, attempt, rank FROM raw_marked "
        "WHERE (writer, run, attempt, rank) NOT IN "
        "(SELECT writer, run, attempt, rank FROM raw_writers) "
        "GROUP BY run, writer, attempt, rank ORDER BY run, writer LIMIT 20",
        "points of writer {0:032x} have expired, but it is not entered as attempt {1}, rank {2}",
    ),
    Rule(
        Kind.KEPT,
        "SELECT run, count() AS sides, uniqExact(said) AS opinions FROM ("
        "SELECT run, cityHash64(sum(n), sum(bad), minIf(low_key, n > bad), "
        "maxIf(high_key, n > bad), minIf(first_key, n > bad), maxIf(last_key, n > bad), "
        "min(first_step), max(last_step)) "
        "AS said FROM raw_kept GROUP BY run, width) "
        "GROUP BY run HAVING sides != 4 OR opinions != 1 ORDER BY run LIMIT 20",
        "the kept series and the kept cells of the tiers do not say the same: {0} of 4 are there, "
        "they say {1} things",
    ),
    Rule(
        Kind.KEPT,
        "SELECT run, sumIf(k, NOT marks) AS cells, sumIf(k, marks) AS marked FROM ("
        "SELECT run, n AS k, 0 AS marks FROM raw_kept WHERE width = 0 "
        "UNION ALL SELECT run, points AS k, 1 AS marks FROM raw_marked) "
        "GROUP BY run HAVING cells != marked ORDER BY run LIMIT 20",
        "the cells are of {0:,} expired points, the marks of {1:,}",
    ),
    Rule(
        Kind.BAD_SEQUENCE,
        "SELECT run, writer, first_seq, last_seq FROM raw_rejects "
        "WHERE first_seq < 1 OR last_seq < first_seq ORDER BY run, writer, first_seq LIMIT 20",
        "writer {0:032x}: a rejection of the sequences {1} to {2}, which is no range",
    ),
)


def check_unnamed(reader: Reader, piece: Piece) -> Iterator[Finding]:
    """Metrics of PIECE that have points and no name."""
    for run, metric, points in reader.rows(_UNNAMED, piece.params):
        yield Finding(
            kind=Kind.NAME,
            message=f"metric #{metric} has {points:,} points and no name",
            run=reader.run_id(run),
            about=str(metric),
        )


def check_tables(reader: Reader, rules: Sequence[Rule] = _RULES) -> Iterator[Finding]:
    """The small tables, by themselves and against each other."""
    for rule in rules:
        for run, *values in reader.rows(rule.sql):
            message = rule.message.format(*values)
            yield Finding(kind=rule.kind, message=message, run=reader.run_id(run), about=message)


def check_writers(reader: Reader) -> Iterator[Finding]:
    """Writers that have points: each in one place, which is known."""
    for writer, run, attempt, rank, points, attempt_known, run_known, writer_known in reader.rows(
        _STRAY_WRITERS
    ):
        lacks = [
            what
            for what, known in (
                ("its run", run_known),
                ("its attempt", attempt_known),
                ("the entry of the writer in this place", writer_known),
            )
            if not known
        ]
        yield Finding(
            kind=Kind.REFERENCE,
            message=f"{points:,} points are stored, but there is not {', nor '.join(lacks)}",
            run=reader.run_id(run),
            attempt=attempt,
            rank=rank,
            writer=writer_text(writer),
        )
    for writer, places in reader.rows(_SHARED):
        yield Finding(
            kind=Kind.SHARED_WRITER,
            message="one writer in several places: " + "; ".join(places),
            writer=writer_text(writer),
        )
